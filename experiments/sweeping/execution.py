"""Execute the runs of an experiment in worker processes or on a cluster, several at once.

Finished runs are skipped, and partial runs are resumed. A failed run is retried once; if it fails
again, it is listed at the end. Runs whose objective needs the whole host are executed last: one at
a time, or on Ray each on a node of its own.
"""

import os
import sys
import time
from collections import Counter, deque
from pathlib import Path

from experiments.running import interrupts
from experiments.running.executors.pool import GRACE_S, Done, Pool, Progress, TaskPool
from experiments.running.plan import (
    ATTEMPTS,
    RunState,
    failures,
    read_ledger,
    read_plan,
    states,
    summary,
)
from experiments.sweeping import experiment as experiments
from experiments.sweeping.experiment import PlannedRun
from experiments.sweeping.ledger import Ledger, Lock
from experiments.sweeping.making import Ending, make_run
from experiments.sweeping.sweep_progress import SweepProgress
from objectives.objective import Resources

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Sweep:
    """The runs of an experiment in its locked folder.

    Raises:
        ValueError: another sweep is using the folder, or it contains another experiment.
        OSError: the folder cannot be written.
    """

    def __init__(
        self, experiment: experiments.Experiment, runs: list[PlannedRun], folder: Path
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(folder, patience_s=2 * GRACE_S)
        self._folder, self._runs = folder, {run.header.identity: run for run in runs}
        self._ledger = Ledger(folder)
        self._spread = experiment.spreader()
        self._host_faults: list[str] = []
        try:
            self._ledger.plan(experiment, runs)
        except BaseException:
            self.close()
            raise

    def states(self) -> dict[str, RunState]:
        """Return the state of every run."""
        return states(self._folder, read_plan(self._folder))

    def make(self, runs_at_once: int, retry: bool, shown: bool | None) -> None:
        """Execute the runs that are not done and have not failed too often.

        Args:
            runs_at_once: the number of runs at once.
            retry: whether to give failed runs new attempts.
            shown: what to show of the progress; see `SweepProgress`.
        """
        self._ledger.append(event="start", workers=runs_at_once, runs=len(self._runs))
        if retry:
            self._ledger.append(event="retry")
        states = self.states()
        self._failed = {i: len(e) for i, e in failures(read_ledger(self._folder)).items()}
        to_make = [
            run
            for identity, run in self._runs.items()
            if states[identity].state not in _SETTLED or states[identity].stopped
        ]
        progress = SweepProgress(self._runs, states, shown)
        for name in _THREADS:  # one thread per run; its results do not depend on the number
            os.environ.setdefault(name, "1")
        groups = (
            [run for run in to_make if not _alone(run)],
            [run for run in to_make if _alone(run)],
        )
        try:
            with interrupts.held():
                for runs in filter(None, groups):
                    self._make_group(runs, runs_at_once, progress)
        finally:
            progress.close()

    def _make_group(
        self, runs: list[PlannedRun], runs_at_once: int, progress: SweepProgress
    ) -> None:
        """Execute runs that may run beside each other, or that each need a whole host."""
        pool: TaskPool
        if self._spread is not None:  # hosts are the cluster's to give
            pool = self._spread(make_run, min(runs_at_once, len(runs)), _resources(runs))
        else:
            runs_at_once = 1 if _alone(runs[0]) else runs_at_once
            pool = Pool(make_run, runs_at_once, inherited=self._lock.file)
        try:
            self._make(runs, pool, progress)
        finally:
            pool.close()

    def _make(self, runs: list[PlannedRun], pool: TaskPool, progress: SweepProgress) -> None:
        """Execute runs, as many at once as the pool has workers."""
        queue = deque(runs)
        started: dict[str, float] = {}
        n_evaluated: Counter[str] = Counter()
        while queue or pool.busy:
            while queue and pool.free:
                run = queue.popleft()
                identity = run.header.identity
                started[identity], n_evaluated[identity] = time.monotonic(), 0
                pool.submit((run, self._folder.absolute() / run.folder))
            message = pool.next()
            if message is None:
                continue
            identity = message.task[0].header.identity
            if isinstance(message, Progress):
                n_evaluated[identity] += message.report
                progress.evaluated(message.report)
                continue
            seconds = time.monotonic() - started.pop(identity)
            ending = _ending(message)
            if ending.host:  # the remaining runs would fail in the same way
                self._host_faults.append(f"{self._runs[identity]}: {ending.error}")
                queue.clear()
            elif self._again(
                identity, ending, message.traceback, seconds, n_evaluated.pop(identity)
            ):
                queue.append(self._runs[identity])
            elif ending.error is None:
                progress.ended()

    def _again(
        self, identity: str, ending: Ending, traceback: str | None, seconds: float, n_evaluated: int
    ) -> bool:
        """Record in the ledger how a run ended; return whether it should be retried."""
        if ending.elsewhere:
            return False
        if ending.error is None:
            self._ledger.append(
                event="done", identity=identity, wall_s=seconds, evaluations=n_evaluated
            )
            return False
        self._failed[identity] = self._failed.get(identity, 0) + 1
        self._ledger.append(
            event="failed", identity=identity, error=ending.error, traceback=traceback
        )
        return self._failed[identity] < ATTEMPTS

    def close(self) -> None:
        """Release the lock of the folder."""
        os.close(self._lock.file)

    def report(self) -> bool:
        """Print a summary and the failed runs; return whether all runs are done."""
        states = self.states()
        print(f"{summary(states.values())}: {self._folder}")
        for identity, state in states.items():
            if state.state == "failed":
                print(f"failed: {self._runs[identity]}: {state.error}", file=sys.stderr)
        for line in self._host_faults:
            print(f"stopped by the host, not failed: {line}", file=sys.stderr)
        if self._host_faults:
            print("repeat the command to resume these runs", file=sys.stderr)
        if any(state.state == "failed" for state in states.values()):
            print("add retry=true to the command to retry the failed runs", file=sys.stderr)
        return all(state.state == "done" for state in states.values())


def _alone(run: PlannedRun) -> bool:
    return run.header.resources.whole_host


def _resources(runs: list[PlannedRun]) -> Resources:
    """Return what each of these runs has room in: the largest number of cores and of GPUs."""
    needed = [(run.header.resources, run.header.workers) for run in runs]
    return Resources(
        gpus=max(each.gpus * workers for each, workers in needed),
        cores=max(each.cores * workers for each, workers in needed),
        whole_host=_alone(runs[0]),
    )


def _ending(done: Done) -> Ending:
    """Return how a run ended, including the case that its process died."""
    if done.died is not None:
        return Ending(f"its worker process ended with {done.died}")
    return Ending(done.error) if done.error is not None else done.result


_SETTLED = ("done", "failed", "running")  # "running" means in another process
