"""Tracking of sweeps: one process follows the logs of all runs and sends what they gain."""

import json
import os
from pathlib import Path

import pytest

from experiments.running.mlflow_runs import WholeSweep
from experiments.running.wandb_runs import WandbSweep
from experiments.sweeping import sweep, tracked
from experiments.sweeping.tracked import Follower
from tracked_stores import EVENTS, Store, Wandb, numbers, write


def planned(folder: Path, *names: str) -> Path:
    """Write a plan of runs with these names."""
    run = {"optimizer": "a", "objective": "f", "seed": 0, "identity": "0123456789abcdef"}
    runs = [{**run, "folder": name} for name in names]
    (folder / "experiment.json").write_text(
        json.dumps({"name": "mine", "budget": 3.0, "runs": runs})
    )
    return folder


def test_a_sweep_is_a_run_with_its_runs_as_children_which_grow_with_their_logs(
    tmp_path: Path,
) -> None:
    store, folder = Store(), planned(tmp_path, "x", "y")
    follower = Follower(WholeSweep(store, "mine", str(folder)), folder, 0.0)
    write(folder / "x", EVENTS[:4])
    follower.step()
    write(folder / "x", EVENTS[4:])
    write(folder / "y", [{**EVENTS[0], "time": 9.0}, *EVENTS[1:6]])
    follower.step()
    follower.end()
    parent, x, y = store.runs.values()
    assert [run.info.status for run in (parent, x, y)] == ["KILLED", "FINISHED", "KILLED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in (x, y)} == {"0"}
    assert numbers(x, "value") == [3.0, 2.0]
    assert numbers(x, "best") == [3.0, 3.0, 2.0]
    assert (numbers(x, "failed"), numbers(x, "retried")) == ([0, 1, 1], [1, 1, 1])
    assert (x.data.tags["error"], x.data.tags["retried_because"]) == (
        "it failed",
        "the node was lost",
    )
    assert (numbers(parent, "evaluations")[-1], numbers(parent, "runs_done")[-1]) == (6, 1)


def test_a_sweep_that_goes_on_sends_what_is_missing_and_nothing_twice(tmp_path: Path) -> None:
    store, folder = Store(), planned(tmp_path, "x")
    write(folder / "x", EVENTS[:4])
    Follower(WholeSweep(store, "mine", str(folder)), folder, 0.0).end()
    points = {("1", *point): 0 for point in store.runs["1"].data.metrics}
    write(folder / "x", EVENTS[4:])
    sent = len(store.sent)
    Follower(WholeSweep(store, "mine", str(folder)), folder, 0.0).end()
    assert len(store.runs) == 2
    assert points.keys().isdisjoint(store.sent[sent:])
    assert numbers(store.runs["1"], "value") == [3.0, 2.0]
    assert store.runs["0"].info.status == "FINISHED"


@pytest.mark.parametrize("dies_at", range(1, 14))
def test_a_store_that_dies_during_a_sweep_costs_one_line_and_is_filled_up_later(
    dies_at: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, folder = Store(), planned(tmp_path, "x")
    write(folder / "x", EVENTS)
    sweep_record = WholeSweep(store, "mine", str(folder))
    store.calls, store.dies_at = 0, dies_at
    Follower(sweep_record, folder, 0.0).end()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tracking: expected MLflow to accept the evaluation, got: no answer")
    store.dies_at = float("inf")
    Follower(WholeSweep(store, "mine", str(folder)), folder, 0.0).end()
    assert numbers(store.runs["1"], "value") == [3.0, 2.0]
    assert [run.info.status for run in store.runs.values()] == ["FINISHED"] * 2


def test_wandb_is_not_sent_the_runs_of_a_sweep_that_had_ended_before(tmp_path: Path) -> None:
    wandb, folder = Wandb(), planned(tmp_path, "x", "y")
    write(folder / "x", EVENTS)
    os.utime(folder / "x" / "log.jsonl", (100.0, 100.0))
    write(folder / "y", EVENTS)  # it ended while the process of the tracking was starting
    Follower(WandbSweep(wandb, "a: sweep/1"), folder, 200.0).end()
    (about,) = wandb.inits
    assert (about["project"], about["name"]) == ("a- sweep-1", "a on f seed 0")
    assert len(wandb.steps) == 3


def test_a_sweep_without_its_tool_says_so_before_it_writes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracked, "find_spec", lambda name: None)
    assert sweep.main(["experiment=smoke", f"out={tmp_path}/sweep", "tracking=wandb"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wandb: expected the extra 'tracking' to be installed")
    assert not (tmp_path / "sweep").exists()


FAKE = """
import json, os
class Settings:
    def __init__(self, **settings): pass
class Run:
    def __init__(self, about):
        self.name, self.summary = about["name"], {}
    def log(self, numbers, step):
        with open(os.environ["TOLD"], "a") as file:
            print(json.dumps([self.name, step, numbers["value"]]), file=file)
    def finish(self, exit_code): pass
def init(**about): return Run(about)
"""


def test_a_sweep_of_the_command_is_tracked_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["experiment=smoke", "optimizers=[random]", "objectives=[branin]", "budget=4"]
    words += ["seeds=range(0,2)", f"out={tmp_path / 'sweep'}", "tracking=wandb"]
    assert sweep.main(words) == 0
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    names = ["random on branin seed 0", "random on branin seed 1"]
    assert sorted((name, step) for name, step, _ in told) == [
        (name, step) for name in names for step in range(4)
    ]
