"""The paper's statistics: facts worked out by hand, and inputs that the comparison refuses."""

import math
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from experiments.analysis.results import Run, run_of
from experiments.paper import comparison, comparison_tables, drawn, landscape, published
from made_headers import header_event
from objectives.objective import Objective
from objectives.trial import Config, Trial
from processes import ROOT

CONFIG: Config = {
    "lora_rank": 64, "lora_alpha": 8, "lora_dropout": 0.1, "learning_rate": 1e-6,
    "weight_decay": 1e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def objective() -> Objective:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        settings = compose("paper")
    found: Objective = instantiate(settings.objective, _convert_="all")
    return found


def _run(name: str, seed: int, values: list[float], ended: bool = True) -> Run:
    """Return a run of given values; MMLU falls by 0.01 with every evaluation."""
    n = len(values)
    metrics = {
        "hellaswag_acc": [1 - value for value in values],
        "mmlu_acc": [0.4 - 0.01 * i for i in range(n)],
    }
    columns = {
        "id": list(range(n)),
        "config": {key: [value] * n for key, value in CONFIG.items()},
        "fidelity": [1.0] * n,
        "value": values,
        "error": [None] * n,
        "metrics": metrics,
        **{key: [0.0] * n for key in ("cost", "ask_s", "tell_s", "time")},
    }
    names = {"optimizer": name, "objective": "lora_published"}
    header = header_event(seed=seed, names=names)
    row = {"header": header, "budget": 4.0, "ended": ended, "tests": [], "columns": columns}
    return run_of(row)


def _first(objective: Objective) -> float:
    """Return the surface's own value of the first configuration, which is checked."""
    value = objective.evaluate(Trial(0, CONFIG)).value
    assert value is not None
    return value


def test_evaluations_until_the_plateau_and_mmlu_at_the_incumbent_are_counted(
    objective: Objective,
) -> None:
    first, best = _first(objective), objective.optimum
    assert best is not None and first > best + 0.002
    near, never = [first, best + 0.001, best, best], [first, first, best + 0.003]
    fast, slow = comparison.samples(
        [_run("slow", 0, never), _run("slow", 1, never), _run("fast", 0, near),
         _run("fast", 1, [first, first, *near[1:3]])],
        objective, "runs",
    )  # fmt: skip
    assert (fast.name, slow.name) == ("fast", "slow")
    assert fast.until.tolist() == [2, 3] and fast.reached == 2
    assert slow.until.tolist() == [math.inf] * 2 and slow.reached == 0
    assert fast.mmlu.tolist() == pytest.approx([0.38, 0.37])  # the first of the least value
    assert slow.fixed and not fast.fixed
    assert slow.regret[0].tolist() == pytest.approx([first - best] * 2 + [0.003] * 2)


def test_optimizers_with_other_seeds_are_refused(objective: Objective) -> None:
    first = _first(objective)
    runs = [_run("a", 0, [first]), _run("a", 1, [first]), _run("b", 0, [first])]
    with pytest.raises(ValueError, match="expected seeds 0-1 of b, got 0"):
        comparison.samples(runs, objective, "runs")


def test_unfinished_runs_are_refused(objective: Objective) -> None:
    runs = [_run("a", 0, [_first(objective)], ended=False)]
    with pytest.raises(ValueError, match="expected finished runs"):
        comparison.samples(runs, objective, "runs")


def test_runs_on_another_surface_are_refused(objective: Objective) -> None:
    runs = [_run("a", 0, [_first(objective) + 0.01])]
    with pytest.raises(ValueError, match="a's first evaluation has the value"):
        comparison.samples(runs, objective, "runs")


def test_the_comparison_s_tables_say_what_has_no_spread(objective: Objective) -> None:
    first, best = _first(objective), objective.optimum
    assert best is not None
    runs = [_run("soo", seed, [first, best]) for seed in range(3)]
    runs += [_run("lhs", seed, [first] * (1 + seed) + [best]) for seed in range(3)]
    made = comparison_tables.sections(comparison.samples(runs, objective, "p"), "p")
    text = "".join(section.latex() for section in made)
    assert "soo$^*$ & 3/3 & 2 & 2 & 2" in text and "no spread" in text
    assert r"\newcommand{\FixedWords}{soo}" in text
    assert "lhs & 3/3 & 3 &" in text  # the median of 2, 3 and 4


def test_a_consistent_difference_is_distinguishable_and_the_lower_one_is_named() -> None:
    rng = np.random.default_rng(0)
    low = rng.normal(0, 1, 30)
    pair, *_ = comparison.compare({"low": low, "high": low + rng.uniform(1, 2, 30)})
    assert pair.distinguishable and pair.sign == -1


def test_two_optimizers_without_a_spread_are_not_tested() -> None:
    ends = {"soo": np.full(30, 4.0), "bamsoo": np.full(30, 9.0)}
    pair, *_ = comparison.compare(ends, {"soo", "bamsoo"})
    assert pair.p is None and not pair.distinguishable


def test_runs_that_differ_and_all_end_alike_are_tested() -> None:
    pair, *_ = comparison.compare({"tpe": np.full(30, 4.0), "grid": np.full(30, 9.0)})
    assert pair.distinguishable and pair.sign == -1


def test_equal_runs_cannot_be_told_apart() -> None:
    values = np.arange(30.0)
    pair, *_ = comparison.compare({"a": values, "b": values.copy()})
    assert pair.p == 1.0 and pair.sign == 0


def test_untested_pairs_do_not_count_in_the_correction() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, 30)
    fixed = {"b", "c"}
    alone = comparison.compare({"a": values, "b": np.zeros(30)}, fixed)[0].p
    found = comparison.compare({"a": values, "b": np.zeros(30), "c": np.zeros(30)}, fixed)
    assert alone is not None
    assert found[0].p == pytest.approx(min(1.0, 2 * alone))  # two tests, not three


def test_the_isotonic_fit_pools_what_rises() -> None:
    # Falling: 1 and 3 violate, their mean 2 then equals the last.
    fitted = landscape.isotonic(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
    assert fitted.tolist() == [2.0, 2.0, 2.0]
    assert landscape.isotonic(np.array([2.0, 1.0]), np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_what_alpha_over_rank_explains_is_the_variance_between_its_values() -> None:
    # Means 1 and 3, all values 1 off them: 4 within. About the mean 2: 4 + 0 + 0 + 4 = 8. Half.
    ratio, y = np.array([1.0, 1.0, 2.0, 2.0]), np.array([0.0, 2.0, 2.0, 4.0])
    assert drawn.by_ratio(ratio, y) == pytest.approx(0.5)


def test_half_of_the_fall_is_found_between_two_ratios() -> None:
    # From 0.45 to chance, 0.25: half is 0.35, in the middle between 0.40 at 1 and 0.30 at 100.
    found = landscape.halfway(np.array([1.0, 100.0]), np.array([0.40, 0.30]), 0.45)
    assert found == pytest.approx(10.0)


def test_rows_are_told_as_ranges() -> None:
    assert published.ranges([5, 1, 2, 3, 9, 8]) == "1-3, 5, 8-9"


DRAWN = "rank,ratio,draw,items,acc,log_likelihood_change,size"


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([DRAWN, "0,0,0,64,.3,0,0", "4,1,0,64,.3,-1,.1", "4,1,0,64,.2,-1,.1"], "got row 2 again"),
        ([DRAWN, "4,1,0,64,.3,-1,.1"], "column ratio: expected one row of 0"),
        ([DRAWN, "0,0,0,64,.3,0,0", "4,1,0,64,x,-1,.1"], "row 2 (line 3), column acc"),
        (["rank,ratio", "0,0"], "expected a column draw"),
    ],
    ids=["twice", "base", "word", "column"],
)
def test_bad_cells_of_drawn_adapters_are_named(
    lines: list[str], named: str, tmp_path: Path
) -> None:
    path = tmp_path / "drawn.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError) as caught:
        drawn.read(path, "drawn.csv")
    assert str(path) in str(caught.value) and named in str(caught.value)
