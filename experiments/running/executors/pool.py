"""Long-lived worker processes that make one run after the other.

A worker that dies fails the one run that it had and is replaced. When the parent dies, however,
its workers end too.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import DupFd
from typing import Any

from experiments.running import interrupts

GRACE_S = 5.0
"""What a worker has to end what its objective started before it is killed."""

Report = Callable[[int], None]
Work = Callable[[Any, Report], str | None]
"""Makes a run, reporting its evaluations; returns the line of an error, or None."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Done:
    """A run has ended.

    Attributes:
        task: what the worker was given.
        error: one line, None where all went well.
        traceback: of the error, where it is a fault of ours.
    """

    task: Any
    error: str | None
    traceback: str | None = None


@dataclass(frozen=True)
class Progress:
    """A run has made this many evaluations since its last report."""

    task: Any
    evaluations: int


class Pool:
    """At most `n` workers, started when they are needed.

    Args:
        work: what they do; a function that can be pickled.
        n: how many.
        lock: a file that every worker keeps open, so that its lock outlives the parent.
    """

    def __init__(self, work: Work, n: int, lock: int) -> None:
        for name in _THREADS:  # workers are the parallelism; a run is the same for any number
            os.environ.setdefault(name, "1")
        self._start: Callable[[], _Worker] = lambda: _Worker(work, lock)
        resource_tracker.ensure_running()  # it would take the block off in a worker's start
        self._n = n
        self._workers: list[_Worker] = []

    @property
    def free(self) -> int:
        """How many more runs may be submitted now."""
        return self._n - self.busy

    @property
    def busy(self) -> int:
        """How many runs go on."""
        return sum(worker.task is not None for worker in self._workers)

    def submit(self, task: Any) -> None:
        """Give a run to a free worker."""
        assert self.free > 0
        free = next((worker for worker in self._workers if worker.task is None), None)
        if free is None:
            # Ctrl-C would interrupt a worker that does not ignore it yet, or lose one here.
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            try:
                free = self._start()
                self._workers.append(free)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        free.send(task)

    def next(self) -> Done | Progress:
        """Wait for what happens next; call it only while runs go on."""
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        with interrupts.released():
            ready = wait(list(busy))
        worker = next(busy[connection] for connection in busy if connection in ready)
        message = worker.receive()
        if not worker.process.is_alive():
            self._workers.remove(worker)
        return message

    def close(self) -> None:
        """End all workers, also in the middle of a run."""
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + GRACE_S
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.process.kill()
            worker.process.join()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, work: Work, lock: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(work, theirs, _Inherited(lock)))
        self.process.start()
        theirs.close()
        self.task: Any = None

    def send(self, task: Any) -> None:
        self.task = task
        try:
            self.connection.send(task)
        except OSError:  # it died while idle; `receive` tells
            pass

    def receive(self) -> Done | Progress:
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            reason = f"its worker process ended with exit code {self.process.exitcode}"
            return Done(self.task, reason)
        if isinstance(message, int):
            return Progress(self.task, message)
        task, self.task = self.task, None
        return Done(task, *message)


class _Inherited:
    """A file descriptor that a new process gets a copy of."""

    def __init__(self, file: int) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return _detach, (DupFd(self._file),)


def _detach(copy: Any) -> int:
    file: int = copy.detach()
    return file


def _serve(work: Work, connection: "Connection[Any, Any]", lock: int) -> None:
    """Make runs until the other end closes; `lock` stays open as long as this process lives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    interrupts.install((signal.SIGTERM,), once=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # blocked since its start
        while True:
            task = connection.recv()
            try:
                with interrupts.held():
                    line = work(task, connection.send)
                answer: tuple[str | None, str | None] = line, None
            except Exception as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                answer = reason, traceback.format_exc()
            connection.send(answer)
    except (EOFError, OSError, KeyboardInterrupt):
        return  # the parent has closed or ended, or wants this process to


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    signal.raise_signal(signal.SIGKILL)
