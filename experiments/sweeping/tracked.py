"""The tracking of a sweep, in a process of its own that follows the logs.

The process reads the logs of the planned runs as they grow, and it ends when its standard input is
closed. The sweep never waits for a tool, except at its end, and goes on if the tracking fails.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from experiments.running.following import GrowingLog
from experiments.running.header import Header
from experiments.running.mistakes import complain
from experiments.running.plan import read_plan
from experiments.running.tracking import BACKENDS, Feed, Guard, Sink, Told, module_of
from objectives.heartbeat import Heartbeat

_EVERY_S = 1.0
_PATIENCE_S = 120.0
"""The longest time that a sweep waits at its end for what has not been sent yet."""


class Record(Protocol):
    """A tool's record of a whole sweep; any method may raise any error.

    Attributes:
        tool: the name of the tool.
        fills_up: whether runs that ended before are sent too, as far as they are missing.
    """

    tool: str
    fills_up: bool

    def run(self, name: str, header: Header) -> Sink:
        """Return the record of one of the sweep's runs."""

    def counted(self, counts: Mapping[str, float], time: float, step: int) -> None:
        """Send the numbers of runs and evaluations so far."""

    def end(self, complete: bool) -> None:
        """Say whether all runs of the sweep are done."""


class Follower:
    """Sends what is new in the logs of a sweep."""

    def __init__(self, record: Record, folder: Path, since: float) -> None:
        """Begin with the logs as they are.

        Args:
            record: the tool's record of the sweep.
            folder: the folder of the sweep, with its plan.
            since: the time when the sweep was started, in seconds since 1970.

        Raises:
            ValueError: the folder has no plan.
        """
        self._record, self._guard = record, Guard(record.tool)
        self._runs = [
            _Tracked(
                f"{run['optimizer']} on {run['objective']} seed {run['seed']}",
                GrowingLog(folder / run["folder"] / "log.jsonl"),
            )
            for run in read_plan(folder)["runs"]
        ]
        self._said: dict[str, float] = {}
        for run in self._runs:
            run.read()
            run.complete = run.ended and run.changed < since and not record.fills_up

    def step(self) -> None:
        """Send what is new."""
        for run in self._runs:
            run.read()
            self._guard(partial(run.send, self._record))
        counts = self._counts()
        if counts != self._said:
            self._said = counts
            step = int(counts["evaluations"])
            self._guard(partial(self._record.counted, counts, time.time(), step))

    def end(self) -> None:
        """Send what is left, and say how each run and the sweep ended."""
        self.step()
        for run in self._runs:
            self._guard(run.stop)
        self._guard(partial(self._record.end, all(run.ended for run in self._runs)))

    def _counts(self) -> dict[str, float]:
        counts = [run.counts for run in self._runs]
        return {
            "runs": len(self._runs),
            "runs_done": sum(run.ended for run in self._runs),
            "evaluations": sum(each[0] for each in counts),
            "evaluations_failed": sum(each[1] for each in counts),
            "evaluations_retried": sum(each[2] for each in counts),
        }


class _Tracked:
    """One run of a sweep.

    Attributes:
        ended: whether the run has ended.
        complete: whether nothing of it is left to send.
        changed: the time when its log changed last; 0 before it exists.
        counts: the numbers of its evaluations, of the failed ones, and of repetitions.
    """

    def __init__(self, name: str, log: GrowingLog) -> None:
        self.ended = self.complete = False
        self.counts = (0, 0, 0)
        self.changed = 0.0
        self._name, self._log = name, log
        self._feed, self._new = Feed(), list[Told]()
        self._sink: Sink | None = None

    def read(self) -> None:
        """Read the log as far as it has grown; one that cannot be read does not change."""
        generation = self._log.generation
        try:
            grown = self._log.read()
            self.changed = self._log.path.stat().st_mtime
        except (ValueError, OSError):  # the run itself reports it
            return
        if self._log.generation != generation:
            self._feed, self._new, self._sink = Feed(), [], None
        history = self._log.history
        if grown and history.header is not None:
            self._new += self._feed.new(history)
            self.ended = history.ended
            if self._new:
                last = self._new[-1]
                self.counts = (last.place + 1, last.n_failed, last.n_retried)

    def send(self, record: Record) -> None:
        """Send what is new."""
        history = self._log.history
        if self.complete or history.header is None:
            return
        if self._sink is None:
            self._sink = record.run(self._name, history.header)
            self._sink.open(history)
        if self._new:
            self._sink.send(self._new)
            self._new = []
        if history.ended:
            self.stop()

    def stop(self) -> None:
        """Say how the run ended, if that was not said yet."""
        if self._sink is not None and not self.complete:
            self._sink.end(self._log.history)
            self.complete = True
            self._log.release()


def check_installed(backend: str) -> None:
    """Raise `ModuleNotFoundError` if the tool of a backend is not installed."""
    if backend != BACKENDS[0] and find_spec(backend) is None:
        raise ModuleNotFoundError(f"No module named {backend!r}", name=backend)


class Tracking:
    """The process that tracks a sweep; nothing if the backend is `none`."""

    def __init__(self, backend: str, folder: Path, name: str) -> None:
        """Start the process.

        Args:
            backend: one of the backends.
            folder: the folder of the sweep, with its plan.
            name: the name of the experiment.
        """
        self._process: subprocess.Popen[bytes] | None = None
        if backend == BACKENDS[0]:
            return
        if find_spec(backend) is None:
            raise ModuleNotFoundError(f"No module named {backend!r}", name=backend)
        now = repr(time.time())
        words = [sys.executable, "-c", _PROGRAM, backend, str(folder.resolve()), name, now]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE)

    def close(self) -> None:
        """Wait until everything is sent, for two minutes at most."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            with Heartbeat("sending the rest to the tracking tool"):
                self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            complain(
                "tracking: expected the tool to accept everything within two minutes, got no end; "
                "repeating the command sends what is missing"
            )
            self._process.kill()
            self._process.wait()


_PROGRAM = f"""import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from experiments.sweeping.tracked import main
main(*sys.argv[1:])"""


def main(backend: str, folder: str, name: str, since: str) -> None:
    """Track a sweep until the standard input is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the sweep ends first, and closes the input
    over = threading.Event()

    def wait() -> None:
        sys.stdin.buffer.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    guard = Guard(backend)
    guard(lambda: _track(backend, Path(folder), name, float(since), over))


def _track(backend: str, folder: Path, name: str, since: float, over: threading.Event) -> None:
    follower = Follower(module_of(backend).whole_sweep(name, str(folder)), folder, since)
    while not over.wait(_EVERY_S):
        follower.step()
    follower.end()
