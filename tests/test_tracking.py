"""Tracking shows runs and does not affect them: substitutes for the tools, real runs."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.running.executors.inline import Inline
from experiments.running.mlflow_runs import RunWithChildren
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import RunLog
from experiments.running.runner import run
from experiments.running.tracking import Tracker
from experiments.running.wandb_runs import WandbRun
from objectives.functions.synthetic import Branin
from objectives.wrappers.failing import Failing
from optimizers.random_search import RandomSearch
from processes import ROOT, environment, events, finish, timeless
from tracked_stores import EVENTS, Store, Wandb, numbers, write


def objective() -> Failing:
    """Return Branin of which half fails, by chance."""
    inner = Branin(shift=None, space={})
    return Failing(inner=inner, probability=0.5, region=None, penalty=None, seed=1)


def track(folder: Path, store: Store, budget: int, header_time: float = 5.0) -> RunLog:
    """Make a tracked run, or continue it."""
    made = objective()
    named = {"_target_": "optimizers.random_search.RandomSearch"}
    names = {"optimizer": "random", "objective": "failing"}
    header = Run(RunSettings(names, named, {}, 3, budget), made).header
    optimizer = RandomSearch(made.space, seed=3)
    with RunLog(folder) as log:
        if log.history.header is None:
            log.begin(replace(header, time=header_time))
        tracker = Tracker(RunWithChildren(store), log)
        run(optimizer, budget, log, Inline(made), watch=tracker)
        tracker.end(log)
    return log


def expect_all(store: Store, log: RunLog) -> None:
    """Check that the store has every evaluation of the log, once and unchanged."""
    children = {run.data.tags["tuneoff.evaluation"]: run for run in store.children()}
    assert len(children) == len(store.children()) == len(log.history.evaluations)
    for place, (id, evaluation) in enumerate(log.history.evaluations.items()):
        child = children[str(place)]
        config = log.history.trials[id].config
        assert child.data.params == {key: str(setting) for key, setting in config.items()}
        assert child.info.status == ("FINISHED" if evaluation.error is None else "FAILED")
        assert child.data.tags.get("error") == evaluation.error
        numbers = {key: value for (key, _, _), value in child.data.metrics.items()}
        assert numbers.get("value") == evaluation.value


def test_every_evaluation_is_tracked_and_failures_are_failed_runs(tmp_path: Path) -> None:
    store = Store()
    log = track(tmp_path, store, 8)
    expect_all(store, log)
    assert {child.info.status for child in store.children()} == {"FINISHED", "FAILED"}
    (parent,) = [r for r in store.runs.values() if "tuneoff.log" in r.data.tags]
    assert parent.info.status == "FINISHED"
    best = [v for (key, _, _), v in parent.data.metrics.items() if key == "best"]
    assert best == sorted(best, reverse=True)


@pytest.mark.parametrize("dies_at", [1, 2, 3, 5, 14, 15, 20, 25, 31, 40])
def test_a_store_that_dies_at_any_call_costs_one_line_and_is_filled_up_when_it_goes_on(
    dies_at: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store()
    store.dies_at = dies_at
    assert len(track(tmp_path, store, 6).history.evaluations) == 6
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "tracking: expected MLflow to accept the evaluation, got: no answer from"
    )
    store.dies_at = float("inf")
    expect_all(store, track(tmp_path, store, 9))
    assert capsys.readouterr().err == ""


def test_two_logs_of_one_identity_are_two_runs(tmp_path: Path) -> None:
    store = Store()
    for i in (1, 2):
        track(tmp_path / str(i), store, 2, header_time=float(i))
    assert len([r for r in store.runs.values() if "tuneoff.log" in r.data.tags]) == 2


def test_a_tracked_log_is_that_of_an_untracked_run(tmp_path: Path) -> None:
    broken = Store()
    broken.dies_at = 9
    track(tmp_path / "a", Store(), 5)
    track(tmp_path / "b", broken, 5)
    assert timeless(tmp_path / "a") == timeless(tmp_path / "b")


def test_a_backend_that_is_none_is_named(tmp_path: Path) -> None:
    done = finish("optimizer=lhs", "objective=branin", "tracking=comet", f"out={tmp_path}/run")
    assert done.returncode == 2
    assert done.stderr == "tracking: expected one of none, mlflow, wandb, got 'comet'\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("tool", ["mlflow", "wandb"])
def test_a_missing_tool_names_its_extra(tool: str, tmp_path: Path) -> None:
    program = f"import sys; sys.modules[{tool!r}] = None; from experiments.entry import start; "
    program += "start(sys.argv[1:])"
    words = ["run", "optimizer=lhs", "objective=branin", f"tracking={tool}", f"out={tmp_path}/run"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{tool}: expected the extra 'tracking' to be installed")
    assert not (tmp_path / "run").exists()


def test_a_repeated_evaluation_is_a_tag_and_a_number_and_the_run_counts_it(tmp_path: Path) -> None:
    store = Store()
    Tracker(RunWithChildren(store), write(tmp_path, EVENTS))
    parent, first, second, _ = store.runs.values()
    assert second.data.tags["retried_because"] == "the node was lost"
    assert numbers(second, "retries") == [1]
    assert "retried_because" not in first.data.tags
    assert (numbers(parent, "failed"), numbers(parent, "retried")) == ([1], [1])


def test_interruptions_after_the_last_answer_are_told_when_the_run_stops(tmp_path: Path) -> None:
    store, wandb, log = Store(), Wandb(), write(tmp_path, EVENTS[:3])
    for sink in (RunWithChildren(store), WandbRun(wandb)):
        Tracker(sink, log).end(log)
    assert store.runs["0"].data.tags["retried"] == "1"
    assert (wandb.summary["retried"], wandb.exit_codes) == (1, [1])


def test_a_run_that_was_stopped_and_started_again_says_how_often(tmp_path: Path) -> None:
    store = Store()
    for end in (4, 5, 7):
        log = write(tmp_path, EVENTS[len(events(tmp_path)) if end > 4 else 0 : end])
        Tracker(RunWithChildren(store), log).end(log)
    parent = store.runs["0"]
    assert (parent.data.tags["resumed"], parent.info.status) == ("2", "FINISHED")


def test_wandb_gets_a_step_for_each_evaluation_with_its_configuration(tmp_path: Path) -> None:
    wandb = Wandb()
    log = write(tmp_path, EVENTS)
    Tracker(WandbRun(wandb), log).end(log)
    (about,) = wandb.inits
    assert (about["project"], about["group"], about["name"]) == ("f", "f", "a seed 0")
    assert [step["step"] for step in wandb.steps] == [0, 1, 2]
    assert [step["config.x"] for step in wandb.steps] == [0.0, 0.1, 0.2]
    assert [step.get("value") for step in wandb.steps] == [3.0, None, 2.0]
    assert [step["best"] for step in wandb.steps] == [3.0, 3.0, 2.0]
    assert wandb.steps[1]["error"] == "it failed"
    assert wandb.steps[1]["retried_because"] == "the node was lost"
    assert [step["retried"] for step in wandb.steps] == [1, 1, 1]
    assert (wandb.summary["state"], wandb.exit_codes) == ("ended", [0])
