"""Live tracking of runs by other tools: `tracking=mlflow` or `tracking=wandb`.

An evaluation is sent only after it has been written to the log. An error of a tool prints one line
and stops the tracking, never the run. When the run is started again, what is missing is sent.
Nothing of a tool is imported unless it is asked for. `mlflow_runs.py` and `wandb_runs.py` say what
each of them shows; both show failures, and repetitions of evaluations that the host interrupted.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import Any, Protocol

from experiments.running.events import Evaluated, Retried
from experiments.running.history import History
from experiments.running.incumbent import Incumbent
from experiments.running.run_log import RunLog
from objectives.trial import Evaluation, Trial

BACKENDS = ("none", "mlflow", "wandb")

LONGEST = 5000  # the largest length of a tag or parameter that MLflow accepts


@dataclass(frozen=True)
class Told:
    """One evaluation as it is sent.

    Attributes:
        place: its place among the evaluations of the run, from 0.
        trial: the trial.
        evaluation: the evaluation.
        time: the time of the answer in seconds since 1970.
        best: the incumbent's value; None before the first, and with several goals.
        n_failed: the number of failed evaluations of the run so far.
        n_retried: the number of repetitions in the run so far.
        retries: the reasons why this evaluation was repeated.
    """

    place: int
    trial: Trial
    evaluation: Evaluation
    time: float
    best: float | None
    n_failed: int
    n_retried: int
    retries: Sequence[str]

    def numbers(self) -> dict[str, float]:
        """Return the numbers of the evaluation: cost, fidelity, metrics, and value or penalty."""
        found = {
            "cost_s": self.evaluation.cost,
            "fidelity": self.trial.fidelity,
            **self.evaluation.metrics,
        }
        if self.evaluation.value is not None:
            name = "value" if self.evaluation.error is None else "penalty"
            found[name] = self.evaluation.value
        return found

    def curves(self) -> dict[str, float]:
        """Return the numbers that say how the run goes."""
        found: dict[str, float] = {"failed": self.n_failed, "retried": self.n_retried}
        if self.best is not None:
            found["best"] = self.best
        return found


class Feed:
    """The evaluations of a growing history, each returned once in the order of arrival."""

    def __init__(self) -> None:
        self._n_events = self._place = self._n_failed = 0
        self._retries: Counter[int] = Counter()
        self._reasons: dict[int, list[str]] = {}
        self._best: Incumbent | None = None

    def new(self, history: History) -> list[Told]:
        """Return the evaluations since the last call; the history has a header."""
        assert history.header is not None
        if self._best is None:
            self._best = Incumbent(history.header.goals, history.header.limits)
        found = []
        for event in islice(history.events, self._n_events, None):
            if isinstance(event, Retried):
                self._reasons.setdefault(event.id, []).append(event.reason)
                self._retries[event.id] += 1
            elif isinstance(event, Evaluated):
                found.append(self._told(event, history.trials[event.id], self._best))
        self._n_events = len(history.events)
        return found

    def _told(self, event: Evaluated, trial: Trial, incumbent: Incumbent) -> Told:
        incumbent.told(event.id, event.evaluation, trial.fidelity)
        self._n_failed += event.evaluation.error is not None
        self._place += 1
        return Told(
            self._place - 1,
            trial,
            event.evaluation,
            event.time,
            incumbent.value if math.isfinite(incumbent.value) else None,
            self._n_failed,
            self._retries.total(),
            self._reasons.pop(event.id, []),
        )


class Sink(Protocol):
    """A tool's record of one run; any method may raise any error.

    Attributes:
        tool: the name of the tool.
    """

    tool: str

    def open(self, history: History) -> None:
        """Find or create the record of a run."""

    def send(self, told: Sequence[Told]) -> None:
        """Send evaluations; those that the tool has already are left out."""

    def end(self, history: History) -> None:
        """Say that the run has ended or was stopped."""


class Tracker:
    """Sends the evaluations of a log as they are written.

    Call it after each evaluation. It sends every new evaluation once, in the order of arrival.
    """

    def __init__(self, sink: Sink, log: RunLog) -> None:
        """Find or create the run's record, and send the evaluations that it lacks.

        Args:
            sink: the tool's record of the run.
            log: the open log, with its header.
        """
        self._sink, self._feed, self._guard = sink, Feed(), Guard(sink.tool)
        self._guard(lambda: sink.open(log.history))
        self(log)

    def __call__(self, log: RunLog) -> None:
        """Send the evaluations since the last call."""
        told = self._feed.new(log.history)
        if told:
            self._guard(lambda: self._sink.send(told))

    def end(self, log: RunLog) -> None:
        """Report that the run finished or was stopped."""
        self._guard(lambda: self._sink.end(log.history))


class Guard:
    """Does work that may fail; after the first failure, it says so in one line and does nothing.

    Attributes:
        broken: whether something has failed.
    """

    def __init__(self, tool: str) -> None:
        self.broken = False
        self._tool = tool

    def __call__(self, work: Callable[[], object]) -> None:
        """Do the work, unless earlier work failed."""
        if self.broken:
            return
        try:
            work()
        except Exception as error:  # a server, a disk or a library may raise anything
            self.broken = True
            reason = " ".join(str(error).split()) or type(error).__name__
            print(
                f"tracking: expected {self._tool} to accept the evaluation, got: {reason[:300]}; "
                f"the run continues without tracking; starting it again sends what is missing",
                file=sys.stderr,
            )


def sink_of(backend: str) -> Sink | None:
    """Return the record of one run at a tool; None for the backend `none`.

    Raises:
        ModuleNotFoundError: the tool is not installed.
    """
    if backend == BACKENDS[0]:
        return None
    made: Sink = module_of(backend).single_run()
    return made


def module_of(backend: str) -> Any:
    """Import the module of a backend."""
    return import_module(f"experiments.running.{backend}_runs")


def retries(history: History) -> list[Retried]:
    """Return the interruptions of evaluations by the host, also of those that never ended."""
    return [event for event in history.events if isinstance(event, Retried)]


def milliseconds(seconds: float) -> int:
    """Return a time or a duration in milliseconds."""
    return round(seconds * 1000)
