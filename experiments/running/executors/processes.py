"""Evaluation in separate processes, so that a crash costs only the evaluation that caused it.

A crash, `os._exit`, the out-of-memory killer and a time limit each end a single process. If the
runner is killed, its workers finish their evaluations and leave the answers in the run's folder.
"""

import multiprocessing
import pickle
import time
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.running import interrupts
from experiments.running.executors import evaluating
from experiments.running.executors.executor import Answer
from experiments.running.executors.handover import Handover
from experiments.running.executors.pool import Done, Pool, Progress, Report
from objectives.objective import Objective
from objectives.trial import Evaluation, Trial

TRIES = 2
"""An evaluation that has ended its process this many times counts as failed."""

_POLL_S = 0.05  # interval between checks on the workers that survived an earlier runner
_BEGUN = "begun"


class Processes:
    """Evaluates in at most `workers` processes, each with its own copy of the objective."""

    rounds = False
    flush = False

    def __init__(
        self, objective: Objective, workers: int, evaluation_timeout_s: float | None = None
    ) -> None:
        """Create the executor.

        Args:
            objective: the objective, which is pickled and sent to every process.
            workers: the number of evaluations at once.
            evaluation_timeout_s: the time after which an evaluation counts as failed; None means
                no limit.

        Raises:
            ValueError: the objective cannot share its host, or cannot be pickled.
        """
        if objective.resources.whole_host and workers > 1:
            raise ValueError(
                f"workers: expected 1, as this objective cannot share its host, got {workers}"
            )
        check_pickles(objective)
        self._objective = objective
        self._timeout_s = evaluation_timeout_s
        self._pool = Pool(_Evaluating(objective), workers, finish=True)
        self._queue: deque[Trial] = deque()
        self._left: dict[int, tuple[Trial, float]] = {}  # at workers of an earlier runner, since
        self._begun: dict[int, float] = {}
        self._deaths: Counter[int] = Counter()

    def start(self, folder: Path, pending: list[Trial]) -> list[Answer]:
        self._objective.folder = folder  # before it is pickled to the first worker
        self._handover = Handover(folder)
        self._handover.clear(pending)
        return [a for t in pending if (a := self._handover.take(t)) is not None]

    def submit(self, trial: Trial) -> None:
        if self._handover.claimed(trial):
            self._left[trial.id] = trial, time.monotonic()
        else:
            self._queue.append(trial)
            self._dispatch()

    def _dispatch(self) -> None:
        while self._queue and self._pool.free > len(self._left):
            self._pool.submit(self._queue.popleft())

    def next(self) -> Answer:
        while True:
            self._dispatch()
            for found in (self._finished_elsewhere(), self._over_time(), self._finished_here()):
                if found is not None:
                    return found

    def forget(self, trials: list[Trial]) -> None:
        for trial in trials:
            self._handover.remove(trial)

    def _finished_elsewhere(self) -> Answer | None:
        """Return the answer of a worker that survived an earlier runner, if one has ended."""
        for trial, _ in list(self._left.values()):
            if not self._handover.claimed(trial):
                del self._left[trial.id]
                answer = self._handover.take(trial)
                return self._died(trial, "its process ended") if answer is None else answer
        return None

    def _over_time(self) -> Answer | None:
        """Kill an evaluation that exceeds the time limit, and return its failure."""
        if self._timeout_s is None:
            return None
        limit = time.monotonic() - self._timeout_s
        for trial, since in list(self._left.values()):
            if since < limit:
                self._handover.kill(trial)
                del self._left[trial.id]
                return self._too_long(trial)
        for task in self._pool.tasks():
            if self._begun.get(task.id, limit) < limit:
                self._pool.kill(task)
                return self._too_long(task)
        return None

    def _too_long(self, trial: Trial) -> Answer:
        assert self._timeout_s is not None
        self._begun.pop(trial.id, None)
        reason = f"evaluation_timeout_s: expected an answer within {self._timeout_s:g} s, got none"
        return Answer(trial, Evaluation(None, self._timeout_s, error=reason))

    def _finished_here(self) -> Answer | None:
        if not self._pool.busy:
            with interrupts.released():
                time.sleep(_POLL_S)
            return None
        message = self._pool.next(self._patience_s())
        if isinstance(message, Progress):
            self._begun[message.task.id] = time.monotonic()
        if not isinstance(message, Done):
            return None
        self._begun.pop(message.task.id, None)
        if message.died is not None:
            return self._handover.take(message.task) or self._died(message.task, message.died)
        if message.error is not None:
            raise RuntimeError(f"worker: {message.error}\n{message.traceback}")
        answer: Answer = message.result
        return answer

    def _patience_s(self) -> float | None:
        """Return how long to wait for a message before the next time limit or check is due."""
        if self._left:
            return _POLL_S
        if self._timeout_s is None:
            return None
        now = time.monotonic()
        ends = [self._begun.get(task.id, now) + self._timeout_s for task in self._pool.tasks()]
        return max(min(ends) - now, 0.0) + 1e-3

    def _died(self, trial: Trial, how: str) -> Answer:
        """Return the failure of a trial that ended its process, or the request to retry it."""
        self._deaths[trial.id] += 1
        if self._deaths[trial.id] < TRIES:
            return Answer(trial, None, retried=f"the evaluation ended its process: {how}")
        reason = f"the evaluation ended its process {TRIES} times, the last time: {how}"
        return Answer(trial, Evaluation(None, 0.0, error=reason))

    def test(self, trial: Trial) -> dict[str, float]:
        self._pool.submit(Test(trial))
        while True:
            message = self._pool.next()
            if isinstance(message, Done):
                break
        if message.died is not None:
            raise RuntimeError(f"the test ended its process: {message.died}")
        if message.error is not None:
            raise RuntimeError(message.error.removeprefix("RuntimeError: "))
        metrics: dict[str, float] = message.result
        return metrics

    def close(self) -> None:
        self._pool.close()


class Test:
    """The task of measuring the test metrics of a trial."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.id = trial.id


class _Evaluating:
    """The work of a worker process: evaluate or test trials."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def __call__(self, task: "Trial | Test", report: Report) -> Any:
        if isinstance(task, Test):
            with interrupts.released():
                return evaluating.test(self._objective, task.trial)
        assert self._objective.folder is not None
        handover = Handover(self._objective.folder)
        _leave_without_runner()
        with handover.claim(task):
            _leave_without_runner()  # it may have ended since; from here on, its successor waits
            _tell(report)
            with interrupts.released():
                answer = evaluating.evaluate(self._objective, task)
            if answer.evaluation is not None:
                with suppress(OSError):  # on a full disk, the log has reserved space for it
                    handover.put(answer)
            return answer


def _leave_without_runner() -> None:
    """End this worker if its runner has ended before the evaluation began.

    A runner that resumes submits every trial that no worker has claimed. A worker that is slow to
    start would evaluate its trial a second time.
    """
    runner = multiprocessing.parent_process()
    if runner is not None and not runner.is_alive():
        raise SystemExit(0)


def _tell(report: Report) -> None:
    """Report that the evaluation begins; ignore the error if the runner was killed meanwhile."""
    with suppress(OSError):
        report(_BEGUN)


def check_pickles(objective: Objective) -> None:
    """Raise `ValueError` unless the objective can be pickled."""
    try:
        pickle.dumps(objective)
    except Exception as error:  # pickling may raise anything
        raise ValueError(
            f"executor: expected an objective that can be pickled to another process, got "
            f"{evaluating.one_line(error)}; use executor=inline"
        ) from None
