"""The work of a sweep's workers: execute one run, and report how it ended."""

import time
from dataclasses import dataclass
from pathlib import Path

from experiments.running.executors.evaluating import is_host_fault
from experiments.running.executors.pool import Report
from experiments.running.mistakes import explain
from experiments.running.run import Run
from experiments.running.run_log import LockedError, RunLog
from experiments.running.runner import HostBroken
from experiments.sweeping.experiment import PlannedRun

_REPORT_S = 0.5  # the interval between two reports of a run's progress

Task = tuple[PlannedRun, Path]
"""A run and its folder."""


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        error: the error on one line; None if the run succeeded.
        host: whether the host is at fault, for example because its disk is full; such a run does
            not count as failed and can be repeated later.
        elsewhere: whether another process is executing this run.
    """

    error: str | None = None
    host: bool = False
    elsewhere: bool = False


def make_run(task: Task, report: Report) -> Ending:
    """Execute one run in a worker; return how it ended."""
    planned, folder = task
    try:
        run = Run(planned.settings)
        if run.is_finished(run.history(folder)):
            return Ending()
        with run.open(folder) as log:
            watch = _Watch(log, report)
            run.execute(log, watch)
            watch.tell(log)
    except LockedError:
        return Ending(elsewhere=True)
    except Exception as error:
        line = explain(error, [])
        if line is None:
            raise
        return Ending(line, is_host_fault(error) or isinstance(error, HostBroken))
    return Ending()


class _Watch:
    """Periodically reports the number of evaluations since the last report."""

    def __init__(self, log: RunLog, report: Report) -> None:
        self._reported = len(log.history.evaluations)
        self._report, self._at = report, time.monotonic()

    def __call__(self, log: RunLog) -> None:
        if time.monotonic() - self._at > _REPORT_S:
            self.tell(log)

    def tell(self, log: RunLog) -> None:
        made = len(log.history.evaluations)
        self._report(made - self._reported)
        self._reported, self._at = made, time.monotonic()
