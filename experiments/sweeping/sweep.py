"""`tuneoff sweep`: all runs of an experiment, several side by side; it goes on after a stop.

Every run is made in a long-lived process. Finished runs are skipped, partial ones resumed; one that
failed is tried once more, and listed. Runs whose objective does not share its host are made last,
with nothing beside them.
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

_OWN = "as the experiment has it"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_REPORT_S = 0.5  # between two reports of a run's progress

Task = tuple[PlannedRun, Path]
"""A run and its folder."""


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        error: one line, None where all went well.
        host: whether the host is to blame, as on a full disk; the run is then made another time.
        elsewhere: whether another process makes this run.
    """

    error: str | None = None
    host: bool = False
    elsewhere: bool = False


def make_run(task: Task, report: Report) -> Ending:
    """Make one run in a worker; return how it ended."""
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
    """Reports how many evaluations were made since the last report, now and then."""

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
    """The runs of an experiment that are still to be made, and the pool that makes them.

    Raises:
        ValueError: another sweep works in the folder, or it holds another experiment.
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
        """Make what is not done and has not failed too often."""
        self._ledger.append(event="start", workers=runs_at_once, runs=len(self._runs))
        if retry:
            self._ledger.append(event="retry")
        found = self.states()
        self._failed = {i: len(e) for i, e in failures(read_ledger(self._folder)).items()}
        to_make = [
            run for identity, run in self._runs.items() if found[identity].state not in _SETTLED
        ]
        bar = _bar(self._runs, found) if shown else None
        for name in _THREADS:  # runs are the parallelism; a run is the same for any number
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
        """Make runs with at most `beside` at once."""
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
            if ending.host:  # the next runs would fare alike
                self._host_faults.append(f"{self._runs[identity]}: {ending.error}")
                queue.clear()
            elif self._again(identity, ending, message.traceback, seconds, made.pop(identity)):
                queue.append(self._runs[identity])

    def _again(
        self, identity: str, ending: Ending, traceback: str | None, seconds: float, made: int
    ) -> bool:
        """Write down how a run ended; tell whether it is to be tried once more."""
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
        """Release the folder."""
        os.close(self._lock.file)

    def report(self) -> bool:
        """Print what is done and what failed; return whether all is done."""
        found = self.states()
        print(f"{summary(found.values())}: {self._folder}")
        for identity, state in found.items():
            if state.state == "failed":
                print(f"failed: {self._runs[identity]}: {state.error}", file=sys.stderr)
        for line in self._host_faults:
            print(f"stopped by the host, not failed: {line}", file=sys.stderr)
        if self._host_faults:
            print("the same command goes on", file=sys.stderr)
        if any(state.state == "failed" for state in found.values()):
            print("failed runs are tried again with retry=true", file=sys.stderr)
        return all(state.state == "done" for state in found.values())


def _alone(run: PlannedRun) -> bool:
    return run.header.resources.whole_host


def _ending(done: Done) -> Ending:
    """Return how a run ended, also where its process did."""
    if done.died is not None:
        return Ending(f"its worker process ended with {done.died}")
    return Ending(done.error) if done.error is not None else done.result


_SETTLED = ("done", "failed", "running")  # running: in another process


def _bar(runs: dict[str, PlannedRun], found: dict[str, RunState]) -> Any:
    """Return a bar of evaluations over all runs."""
    from tqdm import tqdm  # not where nothing is shown

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
    """Return a value that takes the place of one in the experiment's YAML."""
    if key == "seeds" and not text.startswith("["):
        return text if re.search(r"[,(]", text) else whole(0)(key, text)
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        raise ValueError(f"{key}: expected a list such as [a, b], got {text}") from None
    return value


COMMAND = Command(
    "sweep",
    "Make all runs of an experiment. The same command goes on after a stop.",
    [
        ("tuneoff sweep experiment=smoke runs=2", "two runs at once, some seconds"),
        ("tuneoff sweep experiment=smoke optimizers='[random,soo]' seeds=0,1", "a part of it"),
        ("tuneoff sweep experiment=mine.yaml out=~/results/mine", "an experiment of your own"),
        ("tuneoff sweep experiment=smoke retry=true", "two more tries for what failed"),
    ],
    [
        Setting("experiment", "A name of conf/experiment/, or a YAML file.", default=REQUIRED),
        Setting("runs", "How many runs go on at once.", whole(1, 1024), default=1),
        Setting("out", "The folder.", path, shown="results/ and the experiment's name"),
        Setting(
            "progress",
            "Whether a bar is shown: auto (on a terminal), true or false.",
            one_of("auto", "true", "false"),
            default="auto",
        ),
        Setting("retry", "Whether failed runs get two more tries.", switch, default=False),
        Setting("optimizers", "A list in place of the experiment's.", _changed, shown=_OWN),
        Setting("objectives", "A list in place of the experiment's.", _changed, shown=_OWN),
        Setting("seeds", "Such as 3, 0,1,2, [0,1] or 'range(0,30)'.", _changed, shown=_OWN),
        Setting("budget", "Full evaluations for each run.", number(0, above=True), shown=_OWN),
        Setting("workers", "Trials of one run that are evaluated at once.", whole(1), shown=_OWN),
    ],
    takes_config_dir=True,
)


def default_folder(experiment: str) -> Path:
    """Return where the runs of an experiment lie unless `out` says otherwise."""
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
