"""Substitutes for the stores of MLflow and W&B, and the log of a run that they are sent."""

import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from experiments.running.mlflow_runs import Number
from experiments.running.run_log import RunLog
from made_headers import append, header_event


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
