"""How many evaluations are needed: runs of another version are refused; designs are by name."""

import pytest

from experiments.sweeping.evaluations_needed import design, main, named_design, rebuilt
from experiments.sweeping.remake import remake
from made_runs import made_run
from processes import ROOT

BRANIN = {"class": "Branin", "shift": 1, "space": {}}


def test_runs_of_another_version_of_the_objective_are_refused() -> None:
    now = {"version": remake(BRANIN).version, **remake(BRANIN).fingerprint()}
    run = made_run([1.0], objective="branin", settings=BRANIN, fingerprint=now)
    assert rebuilt([run], []).space == remake(BRANIN).space
    old = made_run([1.0], objective="branin", settings=BRANIN, fingerprint={**now, "version": 0})
    with pytest.raises(ValueError, match="branin: expected runs of the current version, 1, got 0"):
        rebuilt([old], [])


def test_the_committed_runs_of_the_earlier_simulator_are_refused() -> None:
    with pytest.raises(ValueError, match="serving_sim: expected runs of the current objective"):
        main([str(ROOT / "results" / "serving_sim" / "runs.jsonl.xz")])


def test_a_design_is_any_optimizer_asked_for_all_at_once() -> None:
    objective = remake(BRANIN)
    assert named_design("lhs:12") == ("lhs", 12)
    points = design(objective, "lhs", 12, seed=1)
    assert len(points) == 12 and design(objective, "lhs", 12, seed=1) == points


@pytest.mark.parametrize("text", ["lhs", "lhs:", ":12", "lhs:0", "lhs:1.5"])
def test_a_design_without_its_budget_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--design: expected OPTIMIZER:BUDGET"):
        named_design(text)
