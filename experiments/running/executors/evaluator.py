"""Evaluating trials: here, one after the other, or in worker processes, several at once."""

import math
import multiprocessing
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Protocol

from objectives.objective import Objective
from objectives.trial import Evaluation, Trial

Answer = tuple[Trial, Evaluation, str | None]
"""A trial, its evaluation, and the traceback where it failed by an exception."""


class Evaluator(Protocol):
    """Where trials are evaluated."""

    def submit(self, trial: Trial) -> None:
        """Take one more trial to evaluate."""

    def next(self) -> Answer:
        """Return the next answer, waiting for it; call it only while trials are pending."""

    def close(self) -> None:
        """End what is still running."""


def evaluate(objective: Objective, trial: Trial) -> Answer:
    """Evaluate one trial; whatever it raises becomes a failed evaluation."""
    started = time.perf_counter()
    try:
        evaluation = objective.evaluate(trial)
        if evaluation.value is None and evaluation.error is None:
            raise ValueError("evaluation: expected a value or an error, got neither")
        if evaluation.value is not None and not math.isfinite(evaluation.value):
            raise ValueError(f"value: expected a finite number, got {evaluation.value}")
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        cost = time.perf_counter() - started
        return trial, Evaluation(None, cost, error=reason), traceback.format_exc()
    return trial, _finite(evaluation), None


def _finite(evaluation: Evaluation) -> Evaluation:
    """Leave out metrics that JSON cannot hold."""
    metrics = {name: x for name, x in evaluation.metrics.items() if math.isfinite(x)}
    return evaluation if metrics == evaluation.metrics else replace(evaluation, metrics=metrics)


class InlineEvaluator:
    """Evaluates in this process, in the order of submission."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._queue: deque[Trial] = deque()

    def submit(self, trial: Trial) -> None:
        self._queue.append(trial)

    def next(self) -> Answer:
        return evaluate(self._objective, self._queue.popleft())

    def close(self) -> None:
        self._queue.clear()


class ProcessEvaluator:
    """Evaluates in `n` processes of its own, each with its own copy of the objective.

    A process that dies (killed for memory, a crash in native code) fails the one trial that
    it had and is replaced. When this process dies, however, its workers end too.
    """

    def __init__(self, objective: Objective, n: int) -> None:
        if objective.resources.whole_host:
            raise ValueError(
                f"workers: expected 1, as this objective cannot share its host, got {n}"
            )
        self._start: Callable[[], _Worker] = lambda: _Worker(objective)
        self._workers = [self._start() for _ in range(n)]
        self._queue: deque[Trial] = deque()

    def submit(self, trial: Trial) -> None:
        self._queue.append(trial)
        self._dispatch()

    def _dispatch(self) -> None:
        for worker in self._workers:
            if self._queue and worker.trial is None:
                worker.send(self._queue.popleft())

    def next(self) -> Answer:
        self._dispatch()
        busy = {worker.connection: worker for worker in self._workers if worker.trial is not None}
        ready = wait(list(busy))
        worker = next(busy[connection] for connection in busy if connection in ready)
        answer = worker.receive()
        if not worker.process.is_alive():
            self._workers[self._workers.index(worker)] = self._start()
        self._dispatch()
        return answer

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, objective: Objective) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(objective, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.trial: Trial | None = None

    def send(self, trial: Trial) -> None:
        self.trial = trial
        try:
            self.connection.send(trial)
        except OSError:  # it died while idle; `receive` tells
            pass

    def receive(self) -> Answer:
        trial, self.trial = self.trial, None
        assert trial is not None
        try:
            answer: Answer = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            reason = f"worker process ended with exit code {self.process.exitcode}"
            return trial, Evaluation(None, 0.0, error=reason), None
        return answer


def _serve(objective: Objective, connection: "Connection[Answer, Trial]") -> None:
    """Answer trials until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            trial = connection.recv()
        except EOFError:
            return
        connection.send(evaluate(objective, trial))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    signal.raise_signal(signal.SIGKILL)
