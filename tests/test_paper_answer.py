"""The paper's answer follows from the runs: worked by hand on three optimizers."""

from pathlib import Path
from typing import Any

import pytest

from experiments.analysis.results import Run
from experiments.paper import answer, pictures
from experiments.paper.answer import Evidence
from made_runs import made_run

_SEEDS = range(20)
_BEST = {"first": 0.0, "second": 0.5, "third": 1.0}


def _runs(budget: int) -> list[Run]:
    """Return runs of 20 seeds: `first` wins from the 25th evaluation on, `second` before."""
    runs = []
    for name, best in _BEST.items():
        for seed in _SEEDS:
            late = [best + 0.001 * seed] * (budget - 24)
            early = {"first": 3.0, "second": 2.0, "third": 4.0}[name] + 0.001 * seed
            runs.append(made_run([early] * 24 + late, name, seed))
    return runs


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return answer.of("toys", _runs(30), "results/toys.jsonl.xz", measured=True)


def test_mean_ranks_at_each_number_of_evaluations(evidence: Evidence) -> None:
    assert list(evidence.ranks) == [20, 30]  # the common budget ends at 30
    assert evidence.ranks[20].mean == {"first": 2.0, "second": 1.0, "third": 3.0}
    assert evidence.ranks[30].mean == {"first": 1.0, "second": 2.0, "third": 3.0}


def test_who_is_not_distinguishable_from_the_first(evidence: Evidence) -> None:
    assert evidence.ranks[20].tied == {"second"}
    assert evidence.ranks[30].tied == {"first"}


def test_equal_optimizers_are_all_tied() -> None:
    runs = [made_run([float(i % 7)] * 20, name, i) for name in "abc" for i in _SEEDS]
    assert answer.of("equal", runs, "x", measured=False).ranks[20].tied == {"a", "b", "c"}


def test_renaming_the_optimizers_changes_only_the_names(evidence: Evidence) -> None:
    new = {"first": "z", "second": "m", "third": "a"}
    runs = [made_run(run.values.tolist(), new[run.optimizer], run.seed) for run in _runs(30)]
    renamed = answer.of("toys", runs, "x", measured=True).ranks[30]
    assert renamed.mean == {new[name]: rank for name, rank in evidence.ranks[30].mean.items()}
    assert renamed.tied == {"z"}


def test_the_account_counts_the_measured_seconds(evidence: Evidence) -> None:
    assert evidence.hours == pytest.approx(3 * 20 * 30 / 3600)  # a second each
    assert answer.of("toys", _runs(30), "x", measured=False).hours == 0
    assert (evidence.runs, evidence.tasks, evidence.seeds) == (60, 1, 20)


def test_the_table_marks_who_is_tied_and_names_what_is_absent(evidence: Evidence) -> None:
    table, account, facts = answer.sections([evidence], ["LoRA table"])
    text = table.latex()
    assert r"first & 2.0 & \textbf{1.0} \\" in text
    assert r"second & \textbf{1.0} & 2.0 \\" in text
    assert r"toys & 1 & 20 & 60 & 0.50 & 0.005 \\" in account.latex()
    told = facts.cells()
    assert told["AnswerWords"].value == (
        "toys, 30 evaluations: first has the lowest mean rank; it is distinguishable from every "
        "other."
    )
    assert told["AnswerAbsent"].value == "LoRA table"


def test_the_picture_has_a_panel_for_each_body_of_evidence(evidence: Evidence) -> None:
    with pictures.style():
        drawn = answer.draw([evidence, evidence])
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["toys\nafter 30"] * 2


def test_what_does_not_exist_yet_is_named(tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = [
        {"name": "LoRA table", "runs": "results/none.jsonl.xz", "measured": False},
        {"name": "server", "runs": None, "measured": True},
    ]
    assert answer.gather(entries, tmp_path) == ([], ["LoRA table", "server"])
