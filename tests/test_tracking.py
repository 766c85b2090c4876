"""Tracking shows runs and does not affect them: substitutes for the tools, real runs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.running.executors.inline import Inline
from experiments.running.mlflow_runs import Number, RunWithChildren, WholeSweep
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import RunLog
from experiments.running.runner import run
from experiments.running.tracking import Tracker
from experiments.running.wandb_runs import WandbRun, WandbSweep
from experiments.sweeping import sweep, tracked
from experiments.sweeping.tracked import Follower
from made_headers import append, header_event
from objectives.functions.synthetic import Branin
from objectives.wrappers.failing import Failing
from optimizers.random_search import RandomSearch
from processes import ROOT, environment, events, finish, timeless


class Page(list[Any]):
    token = None


class Store:
    """MLflow's store, with the calls of its client; from call number `dies_at` on, it fails."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}
        self.sent: list[tuple[str, str, int, int]] = []  # run, key, step and time of each point
        self.calls, self.dies_at = 0, float("inf")

    def _count(self) -> None:
        self.calls += 1
        if self.calls >= self.dies_at:
            raise ConnectionError("no answer\nfrom the server")

    def get_experiment_by_name(self, name: str) -> Any:
        self._count()
        return SimpleNamespace(experiment_id="7")

    def create_experiment(self, name: str) -> Any:
        raise AssertionError("it is there")

    def search_runs(
        self,
        experiment_ids: list[str],
        filter_string: str,
        *,
        max_results: int,
        page_token: str | None,
    ) -> Any:
        self._count()
        wanted = dict(re.findall(r"tags\.`([^`]+)` = '([^']*)'", filter_string))
        return Page(r for r in self.runs.values() if wanted.items() <= r.data.tags.items())

    def create_run(
        self, experiment_id: str, start_time: int, tags: dict[str, str], run_name: str
    ) -> Any:
        self._count()
        id = str(len(self.runs))
        self.runs[id] = SimpleNamespace(
            info=SimpleNamespace(run_id=id, end_time=None, status="RUNNING"),
            data=SimpleNamespace(tags=dict(tags), params={}, metrics={}),
        )
        return self.runs[id]

    def log_numbers(self, run_id: str, numbers: Sequence[Number]) -> None:
        self._count()
        for key, value, timestamp, step in numbers:
            self.sent.append((run_id, key, step, timestamp))
            self.runs[run_id].data.metrics[key, step, timestamp] = value

    def log_param(self, run_id: str, key: str, value: Any) -> None:
        self._count()
        self.runs[run_id].data.params[key] = value

    def set_tag(self, run_id: str, key: str, value: Any) -> None:
        self._count()
        self.runs[run_id].data.tags[key] = value

    def update_run(self, run_id: str, status: str | None = None) -> None:
        self._count()
        self.runs[run_id].info.status = status

    def set_terminated(
        self, run_id: str, status: str | None = None, end_time: int | None = None
    ) -> None:
        self._count()
        self.runs[run_id].info.status, self.runs[run_id].info.end_time = status, end_time or 1

    def children(self) -> list[Any]:
        return [r for r in self.runs.values() if "mlflow.parentRunId" in r.data.tags]


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


EVENTS = [
    header_event(budget=3.0),
    {
        "event": "ask", "n": 3, "ask_s": 0.1, "tell_s": {}, "time": 6.0,
        "trials": [{"id": i, "config": {"x": i / 10}, "fidelity": 1.0} for i in range(3)],
    },
    {"event": "retried", "id": 1, "reason": "the node was lost", "time": 7.0},
    *(
        {
            "event": "evaluation", "id": i, "value": value, "cost": 1.0, "metrics": {},
            "error": None if value is not None else "it failed", "time": 8.0 + i,
        }
        for i, value in enumerate([3.0, None, 2.0])
    ),
    {"event": "end", "budget": 3.0, "spent": 3.0, "tell_s": {}},
]  # fmt: skip
"""A run of three evaluations: one failed after it was repeated."""


def write(folder: Path, events: list[dict[str, Any]]) -> RunLog:
    with RunLog(folder) as log:
        for event in events:
            append(log, event)
    return log


def numbers(run: Any, name: str) -> list[float]:
    """Return the points of a curve in the order of its steps."""
    found = {step: x for (key, step, _), x in run.data.metrics.items() if key == name}
    return [found[step] for step in sorted(found)]


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


class Wandb:
    """What W&B is told: its module, and one of its runs."""

    def __init__(self) -> None:
        self.inits: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.exit_codes: list[int] = []

    def Settings(self, **settings: Any) -> dict[str, Any]:
        return settings

    def init(self, **about: Any) -> "Wandb":
        self.inits.append(about)
        return self

    def log(self, numbers: dict[str, Any], step: int) -> None:
        self.steps.append({**numbers, "step": step})

    def finish(self, exit_code: int) -> None:
        self.exit_codes.append(exit_code)


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
