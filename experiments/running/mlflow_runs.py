"""Runs in MLflow.

MLflow's own environment variable MLFLOW_TRACKING_URI chooses the destination; by default it is a
file in the current folder.

- `tuneoff run`: the objective's name becomes the MLflow experiment, and the run a parent run. Each
  evaluation becomes a nested run with its configuration as parameters and with its value, cost and
  metrics; a failed one has the status FAILED and its error as a tag.
- `tuneoff sweep`: the sweep's name becomes the MLflow experiment, and the sweep a parent run. Each
  run is a nested run, with its evaluations as points of curves.

A run shows the values, the best value so far, and the numbers of failed and of repeated evaluations
as curves over the evaluations. `resumed` counts how often it was started again after a stop.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from experiments.running.header import Header
from experiments.running.history import History
from experiments.running.tracking import LONGEST, Told, milliseconds, retries

_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""A server that does not answer delays the run by seconds instead of MLflow's many minutes."""

_PAGE = 1000
_MOST_NUMBERS = 1000  # in one request

Number = tuple[str, float, int, int]
"""The key, the value, the time in milliseconds and the step of a point."""


class Client(Protocol):
    """The part of `mlflow.tracking.MlflowClient` that is used, and `log_numbers`."""

    def get_experiment_by_name(self, name: str) -> Any: ...
    def create_experiment(self, name: str) -> Any: ...
    def search_runs(
        self,
        experiment_ids: list[str],
        filter_string: str,
        *,
        max_results: int,
        page_token: str | None,
    ) -> Any: ...
    def create_run(
        self, experiment_id: str, start_time: int, tags: dict[str, str], run_name: str
    ) -> Any: ...
    def log_numbers(self, run_id: str, numbers: Sequence[Number]) -> object: ...
    def log_param(self, run_id: str, key: str, value: Any) -> object: ...
    def set_tag(self, run_id: str, key: str, value: Any) -> object: ...
    def update_run(self, run_id: str, status: str | None = None) -> object: ...
    def set_terminated(
        self, run_id: str, status: str | None = None, end_time: int | None = None
    ) -> object: ...


def client() -> Client:
    """Return MLflow's client.

    Raises:
        ModuleNotFoundError: MLflow is not installed.
    """
    for key, value in _PATIENCE.items():
        os.environ.setdefault(key, value)
    import mlflow

    made: Any = mlflow.MlflowClient()

    def log_numbers(run_id: str, numbers: Sequence[Number]) -> None:
        for start in range(0, len(numbers), _MOST_NUMBERS):
            part = numbers[start : start + _MOST_NUMBERS]
            made.log_batch(run_id, metrics=[mlflow.entities.Metric(*number) for number in part])

    made.log_numbers = log_numbers
    found: Client = made
    return found


def single_run() -> "RunWithChildren":
    """Return the record of a run of `tuneoff run`."""
    return RunWithChildren(client())


def whole_sweep(name: str, folder: str) -> "WholeSweep":
    """Return the record of a sweep."""
    return WholeSweep(client(), name, folder)


class RunWithChildren:
    """A run whose evaluations are nested runs."""

    tool = "MLflow"

    def __init__(self, client: Client) -> None:
        self._client = client

    def open(self, history: History) -> None:
        """Find or create the run and its evaluations."""
        header = history.header
        assert header is not None
        self._experiment = _experiment(self._client, header.names["objective"])
        name = f"{header.names['optimizer']} seed {header.seed}"
        self._parent, _ = _opened(self._client, self._experiment, header, name, {})
        filter = f"tags.`mlflow.parentRunId` = '{self._parent}'"
        self._children = {
            run.data.tags["tuneoff.evaluation"]: (run.info.run_id, run.info.end_time is not None)
            for run in _search(self._client, self._experiment, filter)
        }
        self._shown: dict[str, float] = {"failed": 0, "retried": 0}

    def send(self, told: Sequence[Told]) -> None:
        """Send the evaluations that MLflow lacks."""
        for one in told:
            run_id, complete = self._children.get(str(one.place), (None, False))
            if not complete:
                self._send_one(run_id, one)

    def _send_one(self, run_id: str | None, one: Told) -> None:
        """Send an evaluation; its end time is set last and marks it as completely sent."""
        client, ended = self._client, milliseconds(one.time)
        if run_id is None:
            tags = {"mlflow.parentRunId": self._parent, "tuneoff.evaluation": str(one.place)}
            started = ended - milliseconds(one.evaluation.cost)
            run = client.create_run(self._experiment, started, tags, f"trial {one.trial.id}")
            run_id = str(run.info.run_id)
        for key, setting in one.trial.config.items():
            client.log_param(run_id, key, str(setting)[:LONGEST])
        error = one.evaluation.error
        if error is not None:
            client.set_tag(run_id, "error", error[:LONGEST])
        numbers = one.numbers()
        if one.retries:
            client.set_tag(run_id, "retried_because", one.retries[-1][:LONGEST])
            numbers["retries"] = len(one.retries)
        client.log_numbers(self._parent, list(self._of_parent(one, ended)))
        client.log_numbers(run_id, [(name, x, ended, 0) for name, x in numbers.items()])
        client.set_terminated(run_id, "FINISHED" if error is None else "FAILED", ended)

    def _of_parent(self, one: Told, ended: int) -> Iterator[Number]:
        """Yield the points of the run's curves; counts only where they change."""
        if one.evaluation.error is None and one.evaluation.value is not None:
            yield "value", one.evaluation.value, ended, one.place
        for name, number in one.curves().items():
            if name == "best" or self._shown.get(name) != number:
                self._shown[name] = number
                yield name, number, ended, one.place

    def end(self, history: History) -> None:
        """Send the tests of incumbents, and say how the run ended."""
        _end(self._client, self._parent, history)


class RunOfSweep:
    """A run of a sweep; its evaluations are points of its curves."""

    tool = "MLflow"

    def __init__(self, sweep: "WholeSweep", name: str) -> None:
        self._sweep, self._name = sweep, name

    def open(self, history: History) -> None:
        """Find or create the run."""
        header = history.header
        assert header is not None
        client, parent = self._sweep.client, {"mlflow.parentRunId": self._sweep.parent}
        self._id, tags = _opened(client, self._sweep.experiment, header, self._name, parent)
        self._sent = int(tags.get("tuneoff.sent", "0"))

    def send(self, told: Sequence[Told]) -> None:
        """Send the evaluations that MLflow lacks; those that a kill interrupts are sent again."""
        new = [one for one in told if one.place >= self._sent]
        if not new:
            return
        numbers = [
            (name, x, milliseconds(one.time), one.place)
            for one in new
            for name, x in {**one.numbers(), **one.curves()}.items()
        ]
        self._sweep.client.log_numbers(self._id, numbers)
        reasons = [reason for one in new for reason in one.retries]
        errors = [one.evaluation.error for one in new if one.evaluation.error is not None]
        for key, texts in (("error", errors), ("retried_because", reasons)):
            if texts:
                self._sweep.client.set_tag(self._id, key, texts[-1][:LONGEST])
        self._sent = new[-1].place + 1
        self._sweep.client.set_tag(self._id, "tuneoff.sent", str(self._sent))

    def end(self, history: History) -> None:
        """Send the tests of incumbents, and say how the run ended."""
        _end(self._sweep.client, self._id, history)


class WholeSweep:
    """The record of a sweep: a parent run.

    Attributes:
        client: the MLflow client.
        experiment: the id of the MLflow experiment.
        parent: the id of the parent run.
    """

    tool = "MLflow"
    fills_up = True
    """Whether runs that ended before the sweep began are sent too, as far as they are missing."""

    def __init__(self, client: Client, name: str, folder: str) -> None:
        """Find or create the sweep.

        Args:
            client: the MLflow client.
            name: the name of the experiment.
            folder: the folder of the sweep, which tells sweeps of one name apart.
        """
        self.client = client
        self.experiment = _experiment(client, name)
        filter = f"tags.`tuneoff.sweep` = '{folder}'"
        found = _search(client, self.experiment, filter)
        if found:
            self.parent = str(found[0].info.run_id)
            client.update_run(self.parent, "RUNNING")
        else:
            made = client.create_run(self.experiment, 0, {"tuneoff.sweep": folder}, name)
            self.parent = str(made.info.run_id)

    def run(self, name: str, header: Header) -> RunOfSweep:
        """Return the record of one of the sweep's runs."""
        return RunOfSweep(self, name)

    def counted(self, counts: Mapping[str, float], time: float, step: int) -> None:
        """Send the numbers of runs and evaluations so far."""
        numbers = [(key, float(x), milliseconds(time), step) for key, x in counts.items()]
        self.client.log_numbers(self.parent, numbers)

    def end(self, complete: bool) -> None:
        """Say whether all runs of the sweep are done."""
        self.client.set_terminated(self.parent, "FINISHED" if complete else "KILLED")


def _experiment(client: Client, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if found is None else found.experiment_id)


def _search(client: Client, experiment: str, filter: str) -> list[Any]:
    """Return all runs of an experiment that match a filter."""
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs([experiment], filter, max_results=_PAGE, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _opened(
    client: Client, experiment: str, header: Header, name: str, tags: Mapping[str, str]
) -> tuple[str, Mapping[str, str]]:
    """Find or create the MLflow run of a log; return its id and its tags."""
    # The header's time makes the id unique to this log, even if its folder is moved.
    log_id = f"{header.identity}-{header.time!r}"
    known = [f"tags.`tuneoff.log` = '{log_id}'"]
    known += [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    found = _search(client, experiment, " and ".join(known))
    if found:
        run = found[0]
        run_id = str(run.info.run_id)
        if run.info.status != "FINISHED":
            again = int(run.data.tags.get("resumed", "0")) + 1
            client.set_tag(run_id, "resumed", str(again))
        client.update_run(run_id, "RUNNING")
        return run_id, dict(run.data.tags)
    own = {"tuneoff.log": log_id, **tags}
    run = client.create_run(experiment, milliseconds(header.time), own, name)
    run_id = str(run.info.run_id)
    for key in ("seed", "budget", "identity", "workers"):
        client.log_param(run_id, key, getattr(header, key))
    for family in ("optimizer", "objective"):
        client.log_param(run_id, family, header.names[family])
        client.set_tag(run_id, f"settings.{family}", str(getattr(header, family))[:LONGEST])
    return run_id, {}


def _end(client: Client, run_id: str, history: History) -> None:
    """Send the tests of incumbents, and say how a run ended."""
    for test in history.tests():
        ended = milliseconds(test.time)
        numbers = [(f"test.{name}", x, ended, test.id) for name, x in test.metrics.items()]
        client.log_numbers(run_id, numbers)
    retried = retries(history)
    if retried:
        client.set_tag(run_id, "retried", str(len(retried)))
        client.set_tag(run_id, "retried_because", retried[-1].reason[:LONGEST])
    if history.stopped is not None:
        client.set_tag(run_id, "stopped", history.stopped[:LONGEST])
    client.set_terminated(run_id, "FINISHED" if history.ended else "KILLED")
