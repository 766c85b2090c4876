"""`tuneoff sweep`: execute all runs of an experiment, several at once. It can be resumed.

Every run is executed in a long-lived worker process, or on a Ray cluster with `executor=ray`.
Finished runs are skipped, and partial runs are resumed. A failed run is retried once; if it fails
again, it is listed at the end. Runs whose objective needs the whole host are executed last: one at
a time, or on Ray each on a node of its own.
"""

import os
import re
import shlex
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from experiments.running import interrupts
from experiments.running.composing import use_config_dirs
from experiments.running.executors.pool import GRACE_S, Done, Pool, Progress, TaskPool
from experiments.running.mistakes import complain
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
from experiments.running.settings import REQUIRED, Command, Given, Setting
from experiments.running.terminal import PROGRESS_AUTO, typed
from experiments.sweeping import experiment as experiments
from experiments.sweeping.experiment import PlannedRun
from experiments.sweeping.ledger import Ledger, Lock
from experiments.sweeping.making import Ending, make_run
from objectives.objective import Resources

_OWN = "as in the experiment"
_LIMITS = ("hours", "cost", "patience", "regret")
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
            run
            for identity, run in self._runs.items()
            if found[identity].state not in _SETTLED or found[identity].stopped
        ]
        bar = _bar(self._runs, found) if shown else None
        for name in _THREADS:  # one thread per run; its results do not depend on the number
            os.environ.setdefault(name, "1")
        groups = (
            [run for run in to_make if not _alone(run)],
            [run for run in to_make if _alone(run)],
        )
        try:
            with interrupts.held():
                for runs in filter(None, groups):
                    self._make_group(runs, runs_at_once, bar)
        finally:
            if bar is not None:
                bar.close()

    def _make_group(self, runs: list[PlannedRun], runs_at_once: int, bar: Any) -> None:
        """Execute runs that may run beside each other, or that each need a whole host."""
        pool: TaskPool
        if self._spread is not None:  # hosts are the cluster's to give
            pool = self._spread(make_run, min(runs_at_once, len(runs)), _resources(runs))
        else:
            runs_at_once = 1 if _alone(runs[0]) else runs_at_once
            pool = Pool(make_run, runs_at_once, inherited=self._lock.file)
        try:
            self._make(runs, pool, bar)
        finally:
            pool.close()

    def _make(self, runs: list[PlannedRun], pool: TaskPool, bar: Any) -> None:
        """Execute runs, as many at once as the pool has workers."""
        queue = deque(runs)
        started: dict[str, float] = {}
        made: Counter[str] = Counter()
        while queue or pool.busy:
            while queue and pool.free:
                run = queue.popleft()
                identity = run.header.identity
                started[identity], made[identity] = time.monotonic(), 0
                pool.submit((run, self._folder.absolute() / run.folder))
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
        ("tuneoff sweep experiment=smoke dry_run=true", "says what it would run, and checks it"),
        ("tuneoff sweep experiment=smoke retry=true", "two more attempts for failed runs"),
        (
            "tuneoff sweep experiment=smoke executor='simulated executor.jitter=0.5' workers=16",
            "with simulated time",
        ),
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
        Setting(
            "dry_run",
            "Whether to say what would be run, and check it, without running it.",
            switch,
            default=False,
        ),
        Setting("retry", "Whether to give failed runs two more attempts.", switch, default=False),
        Setting("optimizers", "A list that replaces the experiment's.", _changed, shown=_OWN),
        Setting("objectives", "A list that replaces the experiment's.", _changed, shown=_OWN),
        Setting("seeds", "Such as 3, 0,1,2, [0,1] or 'range(0,30)'.", _changed, shown=_OWN),
        Setting("budget", "Full evaluations for each run.", number(0, above=True), shown=_OWN),
        Setting("workers", "Trials of one run that are evaluated at once.", whole(1), shown=_OWN),
        Setting(
            "executor",
            "Where trials are evaluated: a name with its settings. ray spreads whole runs.",
            shown=_OWN,
        ),
        Setting(
            "start", "Configurations to evaluate first: default, or a list.", _changed, shown=_OWN
        ),
        Setting(
            "transfer", "Earlier runs to learn from: a folder, or a list.", _changed, shown=_OWN
        ),
        Setting("stop", "A rule that ends runs early, with its settings.", shown=_OWN),
        *(Setting(f"stop.{limit}", "A limit of that rule.", shown=_OWN) for limit in _LIMITS),
    ],
    takes_config_dir=True,
)


def default_folder(experiment: str) -> Path:
    """Return the default folder of an experiment, which is used if `out` is not given."""
    return Path("results") / Path(experiment).stem


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    return COMMAND.answer(arguments, lambda given: _sweep(given, arguments))


def _look_ahead(
    experiment: experiments.Experiment, planned: list[PlannedRun], folder: Path, runs: int
) -> int:
    """Print what the sweep would do, and the faults that were found; return the exit status."""
    from experiments.sweeping.dry_run import look_ahead  # only a dry run needs it

    text, faults = look_ahead(experiment, planned, folder, runs)
    print(text)
    for line in faults:
        complain(line)
    return 2 if faults else 0


def _sweep(given: Given, arguments: Sequence[str]) -> int:
    sweep: Sweep | None = None
    try:
        use_config_dirs(given.config_dirs)
        changes = {key: given[key] for key in experiments.CHANGES if given[key] is not None}
        limits = [f"stop.{key}={given[f'stop.{key}']}" for key in _LIMITS if given[f"stop.{key}"]]
        if limits:
            changes["stop"] = shlex.join([changes.get("stop", "none"), *limits])
        experiment = experiments.load(given["experiment"], changes)
        folder = given["out"] or default_folder(given["experiment"])
        planned = experiment.plan()
        if given["dry_run"]:
            return _look_ahead(experiment, planned, folder, given["runs"])
        sweep = Sweep(experiment, planned, folder)
        auto = sys.stderr is not None and sys.stderr.isatty()
        shown = auto if given["progress"] == PROGRESS_AUTO else given["progress"] == "true"
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
