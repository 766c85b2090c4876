"""`tuneoff sweep`: execute all runs of an experiment, several at once. It can be resumed.

Every run is executed in a long-lived worker process. Finished runs are skipped, and partial runs
are resumed. A failed run is retried once; if it fails again, it is listed at the end. Runs whose
objective needs the whole host are executed last, one at a time.
"""

import os
import re
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.running import interrupts
from experiments.running.composing import use_config_dirs
from experiments.running.executors.evaluating import is_host_fault
from experiments.running.executors.pool import GRACE_S, Done, Pool, Progress, Report
from experiments.running.mistakes import explain
from experiments.running.plan import (
    ATTEMPTS,
    RunState,
    failures,
    read_ledger,
    read_plan,
    states,
    summary,
)
from experiments.running.readers import number, one_of, path, switch, whole
from experiments.running.run import Run
from experiments.running.run_log import LockedError, RunLog
from experiments.running.runner import HostBroken
from experiments.running.settings import REQUIRED, Command, Given, Setting
from experiments.running.terminal import typed
from experiments.sweeping import experiment as experiments
from experiments.sweeping.experiment import PlannedRun
from experiments.sweeping.ledger import Ledger, Lock

_OWN = "as in the experiment"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
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
        self._host_faults: list[str] = []
        try:
            self._ledger.plan(experiment, runs)
        except BaseException:
            self.close()
            raise

    def states(self) -> dict[str, RunState]:
        """Return the state of every run."""
        return states(self._folder, read_plan(self._folder))

    def make(self, runs_at_once: int, retry: bool, shown: bool) -> None:
        """Execute the runs that are not done and have not failed too often.

        Args:
            runs_at_once: the number of runs at once.
            retry: whether to give failed runs new attempts.
            shown: whether to show a progress bar.
        """
        self._ledger.append(event="start", workers=runs_at_once, runs=len(self._runs))
        if retry:
            self._ledger.append(event="retry")
        found = self.states()
        self._failed = {i: len(e) for i, e in failures(read_ledger(self._folder)).items()}
        to_make = [
            run for identity, run in self._runs.items() if found[identity].state not in _SETTLED
        ]
        bar = _bar(self._runs, found) if shown else None
        for name in _THREADS:  # one thread per run; its results do not depend on the number
            os.environ.setdefault(name, "1")
        pool = Pool(make_run, runs_at_once, inherited=self._lock.file)
        try:
            with interrupts.held():
                self._make([run for run in to_make if not _alone(run)], pool, runs_at_once, bar)
                self._make([run for run in to_make if _alone(run)], pool, 1, bar)
        finally:
            pool.close()
            if bar is not None:
                bar.close()

    def _make(self, runs: list[PlannedRun], pool: Pool, beside: int, bar: Any) -> None:
        """Execute runs, at most `beside` at once."""
        queue = deque(runs)
        started: dict[str, float] = {}
        made: Counter[str] = Counter()
        while queue or pool.busy:
            while queue and pool.busy < beside:
                run = queue.popleft()
                identity = run.header.identity
                started[identity], made[identity] = time.monotonic(), 0
                pool.submit((run, self._folder / run.folder))
            message = pool.next()
            if message is None:
                continue
            identity = message.task[0].header.identity
            if isinstance(message, Progress):
                made[identity] += message.report
                if bar is not None:
                    bar.update(message.report)
                continue
            seconds = time.monotonic() - started.pop(identity)
            ending = _ending(message)
            if ending.host:  # the remaining runs would fail in the same way
                self._host_faults.append(f"{self._runs[identity]}: {ending.error}")
                queue.clear()
            elif self._again(identity, ending, message.traceback, seconds, made.pop(identity)):
                queue.append(self._runs[identity])

    def _again(
        self, identity: str, ending: Ending, traceback: str | None, seconds: float, made: int
    ) -> bool:
        """Record in the ledger how a run ended; return whether it should be retried."""
        if ending.elsewhere:
            return False
        if ending.error is None:
            self._ledger.append(event="done", identity=identity, wall_s=seconds, evaluations=made)
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
        found = self.states()
        print(f"{summary(found.values())}: {self._folder}")
        for identity, state in found.items():
            if state.state == "failed":
                print(f"failed: {self._runs[identity]}: {state.error}", file=sys.stderr)
        for line in self._host_faults:
            print(f"stopped by the host, not failed: {line}", file=sys.stderr)
        if self._host_faults:
            print("repeat the command to resume these runs", file=sys.stderr)
        if any(state.state == "failed" for state in found.values()):
            print("add retry=true to the command to retry the failed runs", file=sys.stderr)
        return all(state.state == "done" for state in found.values())


def _alone(run: PlannedRun) -> bool:
    return run.header.resources.whole_host


def _ending(done: Done) -> Ending:
    """Return how a run ended, including the case that its process died."""
    if done.died is not None:
        return Ending(f"its worker process ended with {done.died}")
    return Ending(done.error) if done.error is not None else done.result


_SETTLED = ("done", "failed", "running")  # "running" means in another process


def _bar(runs: dict[str, PlannedRun], found: dict[str, RunState]) -> Any:
    """Return a progress bar that counts the evaluations of all runs."""
    from tqdm import tqdm  # imported only if a bar is shown

    each = {identity: run.header.budget for identity, run in runs.items()}
    done = [each[i] if s.state == "done" else s.evaluations for i, s in found.items()]
    return tqdm(
        total=sum(each.values()),
        initial=sum(done),
        file=sys.stderr,
        ascii=" #",
        dynamic_ncols=True,
        bar_format="{n:.0f}/{total:.0f} evaluations [{bar:12}] {elapsed} + {remaining} left",
    )


def _changed(key: str, text: str) -> Any:
    """Return a value from the command line that replaces one in the experiment's YAML file."""
    if key == "seeds" and not text.startswith("["):
        return text if re.search(r"[,(]", text) else whole(0)(key, text)
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        raise ValueError(f"{key}: expected a list such as [a, b], got {text}") from None
    return value


COMMAND = Command(
    "sweep",
    "Execute all runs of an experiment. Repeating the command resumes an interrupted sweep.",
    [
        ("tuneoff sweep experiment=smoke runs=2", "two runs at once, a few seconds"),
        ("tuneoff sweep experiment=smoke optimizers='[random,soo]' seeds=0,1", "a part of it"),
        ("tuneoff sweep experiment=mine.yaml out=~/results/mine", "an experiment of your own"),
        ("tuneoff sweep experiment=smoke retry=true", "two more attempts for failed runs"),
    ],
    [
        Setting("experiment", "A name in conf/experiment/, or a YAML file.", default=REQUIRED),
        Setting("runs", "The number of runs at once.", whole(1, 1024), default=1),
        Setting("out", "The output folder.", path, shown="results/ and the experiment's name"),
        Setting(
            "progress",
            "Whether to show a progress bar: auto (only on a terminal), true or false.",
            one_of("auto", "true", "false"),
            default="auto",
        ),
        Setting("retry", "Whether to give failed runs two more attempts.", switch, default=False),
        Setting("optimizers", "A list that replaces the experiment's.", _changed, shown=_OWN),
        Setting("objectives", "A list that replaces the experiment's.", _changed, shown=_OWN),
        Setting("seeds", "Such as 3, 0,1,2, [0,1] or 'range(0,30)'.", _changed, shown=_OWN),
        Setting("budget", "Full evaluations for each run.", number(0, above=True), shown=_OWN),
        Setting("workers", "Trials of one run that are evaluated at once.", whole(1), shown=_OWN),
        Setting(
            "start", "Configurations to evaluate first: default, or a list.", _changed, shown=_OWN
        ),
    ],
    takes_config_dir=True,
)


def default_folder(experiment: str) -> Path:
    """Return the default folder of an experiment, which is used if `out` is not given."""
    return Path("results") / Path(experiment).stem


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    return COMMAND.answer(arguments, lambda given: _sweep(given, arguments))


def _sweep(given: Given, arguments: Sequence[str]) -> int:
    sweep: Sweep | None = None
    try:
        use_config_dirs(given.config_dirs)
        changes = {key: given[key] for key in experiments.CHANGES if given[key] is not None}
        experiment = experiments.load(given["experiment"], changes)
        folder = given["out"] or default_folder(given["experiment"])
        sweep = Sweep(experiment, experiment.plan(), folder)
        auto = sys.stderr is not None and sys.stderr.isatty()
        shown = auto if given["progress"] == "auto" else given["progress"] == "true"
        sweep.make(given["runs"], given["retry"], shown)
        return 0 if sweep.report() else 2
    except KeyboardInterrupt as interrupt:
        done = f"{summary(sweep.states().values())}; " if sweep else ""
        print(f"interrupted: {done}go on with: {typed('sweep', arguments)}", file=sys.stderr)
        return 143 if interrupt.args else 130
    finally:
        if sweep is not None:
            sweep.close()


if __name__ == "__main__":
    interrupts.install((signal.SIGINT, signal.SIGTERM), once=True)
    sys.exit(main(sys.argv[1:]))
