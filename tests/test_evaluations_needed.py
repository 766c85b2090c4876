"""The number of evaluations needed: runs of another version are refused; designs have names."""

from pathlib import Path

import pytest

from experiments.running.run_command import main as run
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
    version = remake(BRANIN).version
    with pytest.raises(ValueError, match=f"expected runs of the current version, {version}, got 0"):
        rebuilt([old], [])
    with pytest.raises(ValueError, match=r"^objective.shift: expected a value, got \[: "):
        rebuilt([run], ["shift=["])


def test_the_committed_runs_of_the_earlier_simulator_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(ROOT / "results" / "serving_sim" / "runs.jsonl.xz")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("serving_sim: expected runs of the current objective")


def test_the_table_counts_runs_and_designs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = tmp_path / "run", tmp_path / "table.csv"
    assert run(["optimizer=soo", "objective=branin", "budget=3", "plot=false", f"out={log}"]) == 0
    words = [str(log), "random=50", "tolerance=100", "design=lhs:4,grid:9", f"out={out}"]
    assert main([*words, "objective.shift=2"]) == 0
    methods = [row.split(",")[0] for row in out.read_text().splitlines()]
    assert methods[:3] == ["method", '"random', "soo"] and methods[3:] == ["lhs of 4", "grid of 9"]
    assert main([*words, "objective.none=2"]) == 2
    assert main([str(log), "design=lhs"]) == 2
    assert "design: expected OPTIMIZER:BUDGET" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "python -m experiments.sweeping.evaluations_needed FOLDER..." in capsys.readouterr().out


def test_a_design_is_any_optimizer_asked_for_all_at_once() -> None:
    objective = remake(BRANIN)
    assert named_design("lhs:12") == ("lhs", 12)
    points = design(objective, "lhs", 12, seed=1)
    assert len(points) == 12 and design(objective, "lhs", 12, seed=1) == points


@pytest.mark.parametrize("text", ["lhs", "lhs:", ":12", "lhs:0", "lhs:1.5"])
def test_a_design_without_its_budget_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="design: expected OPTIMIZER:BUDGET"):
        named_design(text)
