"""Live tracking with MLflow: `python run.py … tracking=mlflow` shows a run while it is running.

MLflow's own environment variable MLFLOW_TRACKING_URI chooses the destination; by default it is a
file in the current folder. The objective's name becomes the MLflow experiment and the run becomes
a parent run. Each evaluation becomes a nested run with its configuration as parameters and with
its value, cost and metrics. The parent run shows the values and the best value so far as curves
over the evaluations. A failed evaluation has the status FAILED and its error as a tag.

An evaluation is sent only after it has been written to the log. An error in this module prints one
line and stops the tracking, never the run. When the run is started again, the evaluations that
MLflow lacks are sent, so none is missing and none is sent twice.
"""

import os
import sys
from itertools import islice
from typing import Any, Protocol

from experiments.running.events import Evaluated
from experiments.running.header import Header
from experiments.running.incumbent import Incumbent
from experiments.running.run_log import RunLog
from objectives.trial import Evaluation, Trial

_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""A server that does not answer delays the run by seconds instead of MLflow's many minutes."""

_LONGEST = 5000  # the largest length of a tag or parameter that MLflow accepts
_PAGE = 1000

BACKENDS = ("none", "mlflow")


class Client(Protocol):
    """The part of `mlflow.tracking.MlflowClient` that the tracker uses."""

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
    def log_metric(
        self, run_id: str, key: str, value: float, timestamp: int, step: int
    ) -> object: ...
    def log_param(self, run_id: str, key: str, value: Any) -> object: ...
    def set_tag(self, run_id: str, key: str, value: Any) -> object: ...
    def update_run(self, run_id: str, status: str | None = None) -> object: ...
    def set_terminated(
        self, run_id: str, status: str | None = None, end_time: int | None = None
    ) -> object: ...


def mlflow_client() -> Client:
    """Return MLflow's client.

    Raises:
        ModuleNotFoundError: MLflow is not installed.
    """
    for key, value in _PATIENCE.items():
        os.environ.setdefault(key, value)
    from mlflow.tracking import MlflowClient

    client: Client = MlflowClient()
    return client


class Tracker:
    """Sends the evaluations of a log as they are written.

    Call it after each evaluation. It sends every new evaluation once, in the order of arrival.
    """

    def __init__(self, client: Client, log: RunLog) -> None:
        """Find or create the run in MLflow, and send the evaluations that MLflow lacks.

        Args:
            client: the MLflow client.
            log: the open log, with its header.
        """
        self._client, self._sent, self._best = client, 0, Incumbent()
        self._broken = False
        self._guarded(lambda: self._open(log))
        self(log)

    def __call__(self, log: RunLog) -> None:
        """Send the evaluations since the last call."""
        self._guarded(lambda: self._send(log))

    def end(self, log: RunLog) -> None:
        """Report that the run finished or was stopped."""
        self._guarded(lambda: self._end(log))

    def _guarded(self, work: Any) -> None:
        """Do work that may fail; after the first failure, do nothing."""
        if self._broken:
            return
        try:
            work()
        except Exception as error:  # a server, a disk or a library may raise anything
            self._broken = True
            reason = " ".join(str(error).split()) or type(error).__name__
            print(
                f"tracking: expected MLflow to accept the evaluation, got: {reason[:300]}; the run "
                f"continues without tracking; starting it again sends what is missing",
                file=sys.stderr,
            )

    def _open(self, log: RunLog) -> None:
        header = log.history.header
        assert header is not None
        name = header.names["objective"]
        found = self._client.get_experiment_by_name(name)
        self._experiment = (
            self._client.create_experiment(name) if found is None else found.experiment_id
        )
        # The header's time makes the id unique to this log, even if its folder is moved.
        self._log_id = f"{header.identity}-{header.time!r}"
        runs = self._search(f"tags.`tuneoff.log` = '{self._log_id}'")
        self._parent = runs[0].info.run_id if runs else self._create_parent(header)
        self._client.update_run(self._parent, "RUNNING")
        self._children = {
            run.data.tags["tuneoff.evaluation"]: (run.info.run_id, run.info.end_time is not None)
            for run in self._search(f"tags.`mlflow.parentRunId` = '{self._parent}'")
        }

    def _end(self, log: RunLog) -> None:
        for test in log.history.tests():
            for name, number in test.metrics.items():
                ended = _milliseconds(test.time)
                self._client.log_metric(self._parent, f"test.{name}", number, ended, test.id)
        status = "FINISHED" if log.history.ended else "KILLED"
        self._client.set_terminated(self._parent, status)

    def _search(self, filter: str) -> list[Any]:
        """Return all runs that match a filter."""
        found: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], filter, max_results=_PAGE, page_token=token
            )
            found.extend(page)
            token = page.token
            if not token:
                return found

    def _create_parent(self, header: Header) -> str:
        names = header.names
        run = self._client.create_run(
            self._experiment,
            _milliseconds(header.time),
            {"tuneoff.log": self._log_id},
            f"{names['optimizer']} seed {header.seed}",
        )
        parent: str = run.info.run_id
        for key in ("seed", "budget", "identity"):
            self._client.log_param(parent, key, getattr(header, key))
        for family in ("optimizer", "objective"):
            self._client.log_param(parent, family, names[family])
            self._client.set_tag(
                parent, f"settings.{family}", str(getattr(header, family))[:_LONGEST]
            )
        return parent

    def _send(self, log: RunLog) -> None:
        """Send the logged evaluations that this process has not sent yet."""
        history = log.history
        new = list(islice(history.evaluations.items(), self._sent, None))
        if not new:
            return
        answers = (e for e in reversed(history.events) if isinstance(e, Evaluated))
        times = {e.id: e.time for e in islice(answers, len(new))}
        for id, evaluation in new:
            self._best.told(id, evaluation, history.trials[id].fidelity)
            run_id, whole = self._children.get(str(self._sent), (None, False))
            if not whole:
                ended = _milliseconds(times[id])
                self._send_one(run_id, history.trials[id], evaluation, ended)
            self._sent += 1

    def _send_one(
        self, run_id: str | None, trial: Trial, evaluation: Evaluation, ended: int
    ) -> None:
        """Send an evaluation; its end time is set last and marks it as completely sent."""
        client, place = self._client, self._sent
        if run_id is None:
            tags = {"mlflow.parentRunId": self._parent, "tuneoff.evaluation": str(place)}
            started = ended - round(evaluation.cost * 1000)
            run = client.create_run(self._experiment, started, tags, f"trial {trial.id}")
            run_id = str(run.info.run_id)
        for key, setting in trial.config.items():
            client.log_param(run_id, key, str(setting)[:_LONGEST])
        numbers = {"cost_s": evaluation.cost, "fidelity": trial.fidelity, **evaluation.metrics}
        if evaluation.error is not None:
            client.set_tag(run_id, "error", evaluation.error[:_LONGEST])
            if evaluation.value is not None:
                numbers["penalty"] = evaluation.value
        elif evaluation.value is not None:
            numbers["value"] = evaluation.value
            for name, number in (("value", evaluation.value), ("best", self._best.value)):
                client.log_metric(self._parent, name, number, ended, place)
        for name, number in numbers.items():
            client.log_metric(run_id, name, number, ended, 0)
        client.set_terminated(run_id, "FINISHED" if evaluation.error is None else "FAILED", ended)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
