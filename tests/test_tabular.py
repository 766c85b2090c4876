"""A CSV of evaluations as an objective: look-ups, replicates, and mistakes that name their cell."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectives.functions.synthetic import Branin
from objectives.tabular import Tabular
from objectives.trial import Config, Trial

TEXT = (
    "rank,log10_rate,kind,acc,mmlu,s\n2,-3,a,0.5,0.25,10\n4,-3,b,0.7,0.35,20\n8,-1,a,0.6,0.3,30\n"
)
PARAMETERS = {
    "rank": "rank",
    "rate": {"column": "log10_rate", "log10": True},
    "kind": "kind",
}
BOX = {
    "rank": {"type": "int", "lower": 2, "upper": 8},
    "rate": {"type": "float", "lower": 1e-4, "upper": 1e-1, "log": True},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
}


def table(folder: Path, text: str = TEXT, **settings: Any) -> Tabular:
    path = folder / "table.csv"
    path.write_text(text)
    given: dict[str, Any] = {
        "data": str(path),
        "where": {},
        "parameters": PARAMETERS,
        "value": {"column": "acc", "maximise": "one minus"},
        "metrics": {"hellaswag_acc": "acc", "mmlu_acc": "mmlu"},
        "cost": "s",
        "space": {},
        "lookup": "exact",
        "tolerance": 0.05,
        "replicates": "refuse",
        "seed": 0,
    }
    return Tabular(**{**given, **settings})


def test_a_row_is_looked_up_with_its_metrics_and_cost(tmp_path: Path) -> None:
    found = table(tmp_path).evaluate(Trial(0, {"rank": 4, "rate": 1e-3, "kind": "b"}))
    assert found.value == pytest.approx(0.3)
    assert found.metrics == {"hellaswag_acc": 0.7, "mmlu_acc": 0.35}
    assert found.cost == 20


def test_the_best_row_is_the_optimum(tmp_path: Path) -> None:
    objective = table(tmp_path)
    assert objective.optimum == pytest.approx(0.3)
    assert objective.minimisers == ({"rank": 4, "rate": 1e-3, "kind": "b"},)
    assert objective.metric == "hellaswag_acc"


@pytest.mark.parametrize(("maximise", "value"), [(False, 0.5), (True, -0.5), ("one minus", 0.5)])
def test_the_sign_is_set(tmp_path: Path, maximise: bool | str, value: float) -> None:
    objective = table(tmp_path, value={"column": "acc", "maximise": maximise})
    found = objective.evaluate(Trial(0, {"rank": 2, "rate": 1e-3, "kind": "a"}))
    assert found.value == pytest.approx(value)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="expected a row of the configuration, got none of .*8"):
        table(tmp_path).evaluate(Trial(0, {"rank": 8, "rate": 1e-3, "kind": "a"}))


def test_the_nearest_row_counts_within_the_tolerance_only(tmp_path: Path) -> None:
    # The rate's axis is 3 decades: 10^-2.91 lies 0.03 from 10^-3 and 10^-2.7 lies 0.1.
    objective = table(tmp_path, space=BOX, lookup="nearest", tolerance=0.05)
    near = objective.evaluate(Trial(0, {"rank": 2, "rate": 10**-2.91, "kind": "a"}))
    assert near.metrics["hellaswag_acc"] == 0.5
    far_ones: list[Config] = [{"rate": 10**-2.7, "kind": "a"}, {"rate": 1e-3, "kind": "b"}]
    for far in far_ones:
        with pytest.raises(RuntimeError, match="within 0.05 of it"):
            objective.evaluate(Trial(0, {"rank": 2, **far}))


def test_an_empty_cell_is_an_inactive_parameter(tmp_path: Path) -> None:
    box = {
        "kernel": {"type": "categorical", "choices": ["rbf", "poly"]},
        "degree": {"type": "int", "lower": 2, "upper": 5, "when": {"kernel": "poly"}},
    }
    settings: dict[str, Any] = {"parameters": ["kernel", "degree"], "metrics": [], "cost": None}
    text = "kernel,degree,acc\nrbf,,0.5\npoly,3,0.6\n"
    objective = table(tmp_path, text, space=box, **settings)
    assert objective.evaluate(Trial(0, {"kernel": "rbf"})).metrics == {"acc": 0.5}
    assert objective.minimisers == ({"kernel": "poly", "degree": 3},)


REPEATED = TEXT + "2,-3,a,0.4,0.2,50\n"


def test_replicates_are_drawn_by_seed_and_trial(tmp_path: Path) -> None:
    objective = table(tmp_path, REPEATED, replicates="draw")
    config: Config = {"rank": 2, "rate": 1e-3, "kind": "a"}
    found = [objective.evaluate(Trial(id, config)).value for id in range(200)]
    assert found == [objective.evaluate(Trial(id, config)).value for id in range(200)]
    # Two equally likely values: 100 +- 5 standard deviations of 7.07.
    assert 64 < np.sum(np.isclose(np.array(found, dtype=float), 0.5)) < 136
    assert objective.noise_sd == pytest.approx(0.05)  # of {0.5, 0.6}
    assert "replicated" in (objective.notice() or "")


def test_replicates_are_averaged_on_request(tmp_path: Path) -> None:
    objective = table(tmp_path, REPEATED, replicates="mean")
    found = objective.evaluate(Trial(0, {"rank": 2, "rate": 1e-3, "kind": "a"}))
    assert found.value == pytest.approx(0.55) and found.cost == 30
    assert objective.noise_sd == 0


def test_a_table_without_replicates_says_that_it_is_deterministic(tmp_path: Path) -> None:
    assert table(tmp_path).notice() == "data: table.csv (3 configurations, deterministic)"


def test_only_the_rows_asked_for_are_kept(tmp_path: Path) -> None:
    assert "2 configurations" in (table(tmp_path, where={"kind": "a"}).notice() or "")


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (TEXT.replace("mmlu", "other"), {}, "expected a column mmlu"),
        (
            TEXT.replace("0.7", "high"),
            {},
            r"row 2 \(line 3\), column acc: expected a finite number",
        ),
        (TEXT.replace("0.35", ""), {}, r"row 2 \(line 3\), column mmlu: expected a finite number"),
        (TEXT.replace(",20\n", "\n"), {}, r"row 2 \(line 3\): expected 6 cells, got 5"),
        (REPEATED, {}, r"row 4 \(line 5\), column acc: .* got row 1 again with another value 0.4"),
        (TEXT + "2,-3,a,0.5,0,0\n", {}, r"row 4 .* got row 1 again with the same value"),
        (TEXT.replace("8,", "9,"), {"space": BOX}, r"row 3 .*, column rank: .* \[2, 8\], got 9"),
        (TEXT.replace("4,", "4.5,"), {"space": BOX}, r"row 2 .*, column rank: expected an integer"),
        (TEXT.replace("b", "c"), {"space": BOX}, r"row 2 .*, column kind: expected one of"),
        ("rank,log10_rate,kind,acc,mmlu,s\n", {}, "expected at least one row"),
        (TEXT, {"lookup": "linear"}, "lookup: expected one of"),
        (TEXT, {"replicates": "first"}, "replicates: expected one of"),
        (TEXT, {"tolerance": -1}, "tolerance: expected a number >= 0"),
        (TEXT, {"space": {"alpha": BOX["rank"]}}, "space: expected some of"),
        (TEXT, {"value": {"column": "acc", "sign": -1}}, "value: expected the keys"),
        (TEXT, {"parameters": {}}, "parameters: expected names with their columns"),
        (TEXT, {"data": 3}, "data: expected the path"),
    ],
)
def test_a_mistake_is_named(
    tmp_path: Path, text: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        table(tmp_path, text, **settings)
    assert "\n" not in str(raised.value)


def test_the_shipped_grid_is_branin() -> None:
    rows = (Path(__file__).parents[1] / "objectives" / "branin_grid.csv").read_text().splitlines()
    branin = Branin(shift="none", space={})
    assert len(rows) == 1 + 16 * 16
    for x1, x2, value in (row.split(",") for row in rows[1::25]):
        config: Config = {"x1": float(x1), "x2": float(x2)}
        assert branin.evaluate(Trial(0, config)).value == pytest.approx(float(value))
