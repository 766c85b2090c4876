"""Tracking shows a run and does not affect it: a substitute for MLflow's client, real runs."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.running.executors.inline import Inline
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import RunLog
from experiments.running.runner import run
from experiments.running.tracking import Tracker
from objectives.functions.synthetic import Branin
from objectives.wrappers.failing import Failing
from optimizers.random_search import RandomSearch
from processes import finish, timeless


class Page(list[Any]):
    token = None


class Store:
    """MLflow's store, with the calls of its client; from call number `dies_at` on, it fails."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}
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
        key, value = filter_string.split(" = ")
        tag = key.removeprefix("tags.`").removesuffix("`")
        return Page(r for r in self.runs.values() if r.data.tags.get(tag) == value.strip("'"))

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

    def log_metric(self, run_id: str, key: str, value: float, timestamp: int, step: int) -> None:
        self._count()
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
        tracker = Tracker(store, log)
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
    done = finish("optimizer=lhs", "objective=branin", "tracking=wandb", f"out={tmp_path}/run")
    assert done.returncode == 2
    assert done.stderr == "tracking: expected one of none, mlflow, got 'wandb'\n"
    assert not (tmp_path / "run").exists()
