"""Long-lived worker processes that do tasks one after the other: runs of a sweep, or evaluations.

If a worker dies, only its current task fails, and the worker is replaced.
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
from typing import Any, Protocol

from experiments.running import interrupts

GRACE_S = 5.0
"""The time in which a worker must stop what its task started, before it is killed."""

Report = Callable[[Any], None]
Work = Callable[[Any, Report], Any]
"""Does a task and returns a result. Its reports reach the parent as `Progress`."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Done:
    """A task has ended.

    Attributes:
        task: the task that the worker was given.
        result: the return value; None if the work raised an exception or its process ended.
        error: the exception on one line, if the work raised one.
        traceback: the traceback of the exception.
        died: how the worker's process ended; None if it is still alive.
    """

    task: Any
    result: Any = None
    error: str | None = None
    traceback: str | None = None
    died: str | None = None


@dataclass(frozen=True)
class Progress:
    """A task has reported something."""

    task: Any
    report: Any


class TaskPool(Protocol):
    """Workers that do tasks one after the other."""

    @property
    def free(self) -> int:
        """The number of tasks that may be submitted now."""
        ...

    @property
    def busy(self) -> int:
        """The number of tasks in progress."""
        ...

    def submit(self, task: Any) -> None:
        """Give a task to a free worker."""
        ...

    def next(self, timeout_s: float | None = None) -> Done | Progress | None:
        """Wait for the next message of a worker; return None after `timeout_s` without one."""
        ...

    def close(self) -> None:
        """End all workers, including those that are in the middle of a task."""
        ...


class Pool:
    """At most `n` worker processes, each started when it is first needed."""

    def __init__(
        self, work: Work, n: int, *, inherited: int | None = None, finish: bool = False
    ) -> None:
        """Create an empty pool.

        Args:
            work: the function that the workers call for each task; it must be picklable.
            n: the largest number of workers.
            inherited: a file that every worker keeps open, so that its lock outlives the parent.
            finish: whether a worker whose parent was killed completes its current task; otherwise
                it is ended at once. A worker that may outlive its parent leads its own process
                group, and the processes that it started are killed with it.
        """
        resource_tracker.ensure_running()  # else a worker's start would unblock the signals
        self._start: Callable[[], _Worker] = lambda: _Worker(work, inherited, finish)
        self._n = n
        self._workers: list[_Worker] = []

    @property
    def free(self) -> int:
        """The number of tasks that may be submitted now."""
        return self._n - self.busy

    @property
    def busy(self) -> int:
        """The number of tasks in progress."""
        return sum(worker.task is not None for worker in self._workers)

    def tasks(self) -> list[Any]:
        """Return the tasks in progress."""
        return [worker.task for worker in self._workers if worker.task is not None]

    def submit(self, task: Any) -> None:
        """Give a task to a free worker."""
        assert self.free > 0
        free = next((worker for worker in self._workers if worker.task is None), None)
        if free is None:
            # Ctrl-C could interrupt the new worker before it ignores the signal, or lose it here.
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            try:
                free = self._start()
                self._workers.append(free)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        free.send(task)

    def next(self, timeout_s: float | None = None) -> Done | Progress | None:
        """Wait for the next message of a worker; return None after `timeout_s` without one."""
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        with interrupts.released():
            ready = wait(list(busy), timeout_s)
        worker = next((busy[connection] for connection in busy if connection in ready), None)
        if worker is None:
            return None
        message = worker.receive()
        # A worker that died right after a report is removed only when its pipe shows its death.
        if isinstance(message, Done) and not worker.process.is_alive():
            self._workers.remove(worker)
        return message

    def kill(self, task: Any) -> None:
        """Kill the worker that does a task, and all the processes that it started."""
        for worker in self._workers:
            if worker.task is task:
                worker.kill()
                self._workers.remove(worker)

    def close(self) -> None:
        """End all workers, including those that are in the middle of a task."""
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + GRACE_S
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.kill()
        self._workers.clear()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, work: Work, inherited: int | None, finish: bool) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads
        self.connection, theirs = context.Pipe()
        kept = None if inherited is None else _Inherited(inherited)
        self.process = context.Process(target=_serve, args=(work, theirs, kept, finish))
        self.process.start()
        theirs.close()
        self._leads = finish
        self.task: Any = None

    def send(self, task: Any) -> None:
        self.task = task
        try:
            self.connection.send(task)
        except OSError:  # the worker died while idle; `receive` will report it
            pass

    def receive(self) -> Done | Progress:
        try:
            kind, *message = self.connection.recv()
        except (EOFError, OSError):
            self.kill()
            return Done(self.task, died=_ending(self.process.exitcode))
        if kind == "report":
            return Progress(self.task, message[0])
        task, self.task = self.task, None
        return Done(task, *message)

    def kill(self) -> None:
        self.process.join(0)
        if self._leads and self.process.pid is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)  # includes the processes it started
            except (ProcessLookupError, PermissionError):
                pass  # the group does not exist yet, or it is empty
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


class _Inherited:
    """A file descriptor that is duplicated in a new process."""

    def __init__(self, file: int) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return _detach, (DupFd(self._file),)


def _detach(copy: Any) -> int:
    file: int = copy.detach()
    return file


def _serve(
    work: Work, connection: "Connection[Any, Any]", inherited: int | None, finish: bool
) -> None:
    """Do tasks until the other end closes; `inherited` stays open for the life of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    if finish:
        os.setpgid(0, 0)
    else:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    interrupts.install((signal.SIGTERM,), once=True)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # blocked since the process started
        while True:
            interrupts.check()  # the end of a task that failed does not raise a signal
            task = connection.recv()
            connection.send(_answer(work, task, lambda report: connection.send(("report", report))))
    except (EOFError, OSError, KeyboardInterrupt):
        interrupts.taken()
        return  # the parent closed the pipe, ended, or sent SIGTERM


def _answer(work: Work, task: Any, report: Report) -> tuple[Any, ...]:
    try:
        with interrupts.held():
            return "done", work(task, report)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return "done", None, reason, traceback.format_exc()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    signal.raise_signal(signal.SIGKILL)
