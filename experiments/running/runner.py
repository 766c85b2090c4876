"""The run loop: ask, evaluate, log and tell. After a kill it is replayed from the log."""

import time
from collections import Counter
from collections.abc import Callable
from itertools import takewhile

from experiments.running import interrupts
from experiments.running.asked import check_asked
from experiments.running.contract import faults_of_optimizer
from experiments.running.events import (
    Ask,
    Ended,
    Evaluated,
    Refused,
    Retried,
    Tested,
)
from experiments.running.executors.executor import Answer, Executor
from experiments.running.resuming import replay
from experiments.running.run_log import RunLog
from experiments.running.stopping import Limits, StopRule
from objectives.trial import Evaluation, Trial
from optimizers.optimizer import Optimizer

HOST_TRIES = 3
"""The run ends when the host has interrupted a trial this many times; the same command resumes."""

FLUSH_S = 0.5
"""The interval between two flushes of a log whose answers are stored elsewhere as well."""

_ROUNDING = 1e-9  # fractions of the budget such as 1/3 do not add up exactly

Watch = Callable[[RunLog], None]
"""A function that is called after each logged evaluation."""


class HostBroken(OSError):
    """The host interrupted an evaluation repeatedly; the configuration is not the cause."""


def run(
    optimizer: Optimizer,
    budget: float,
    log: RunLog,
    executor: Executor,
    n_workers: int = 1,
    watch: Watch = lambda log: None,
    stop: StopRule | None = None,
) -> None:
    """Spend `budget` full-evaluation equivalents, starting from where the log ends.

    The log must already contain its header. Trials that were asked but not evaluated are
    evaluated first. Each evaluation is on the disk, in the log or in the folder of answers, before
    the optimizer is told about it, unless it is repeated at no cost. The rule `stop` may end the
    run earlier.
    """
    with interrupts.held():
        with faults_of_optimizer("replay"):
            replay(optimizer, log)
        loop = _Loop(optimizer, budget, log, executor, watch, stop or Limits())
        loop.resume()
        while True:
            interrupts.check()  # cheap evaluations defer signals too; no step is in progress here
            loop.ask(n_workers)
            if not loop.pending:
                break
            loop.answer(executor.next())
        _test_incumbents(executor, log)
        spent = log.history.spent
        log.append(Ended(budget, spent, loop.clock.told(), loop.stopped))


class _Loop:
    """The state of a run between two steps.

    The budget is spent in the order in which trials were asked. The first trial that it cannot
    pay is refused, and so are all trials after it. A refused trial still occupies a worker.
    A run with a larger budget therefore asks for the same trials and continues with those that
    were refused.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        budget: float,
        log: RunLog,
        executor: Executor,
        watch: Watch,
        stop: StopRule,
    ) -> None:
        self.clock = Clock(optimizer)
        self.pending = 0
        self.stopped: str | None = None  # why the rule refused the last ask
        self._stop = stop
        self._budget, self._log, self._executor, self._watch = budget, log, executor, watch
        self._tries: Counter[int] = Counter()
        self._answered: list[Trial] = []
        self._next_flush = 0.0
        header = log.history.header
        assert header is not None
        self._grid = (1.0,) if header.fidelities is None else header.fidelities.grid

    def resume(self) -> None:
        """Log the answers that workers finished without a runner; submit the pending trials."""
        history = self._log.history
        pending = history.pending()
        self.pending = len(pending)
        finished = self._executor.start(self._log.path.parent, pending)
        for answer in finished:
            self.answer(answer)
        done = {answer.trial.id for answer in finished}
        left = [trial for trial in pending if trial.id not in done]
        spent = history.spent - sum(map(history.price, left))
        self._submit(left, spent, self._asked_before_refused())

    def ask(self, n_workers: int) -> None:
        """Ask for one trial per idle worker, and submit those that the budget pays."""
        if self._executor.rounds and self.pending:
            return
        history = self._log.history
        n = n_workers - self.pending - len(history.refused)
        left = self._budget - history.spent + _ROUNDING
        payable = not history.refused and left >= self._grid[0]
        self.stopped = None
        if n <= 0 or not (payable or self.pending):
            return
        self.stopped = self._stop.reason(history)
        if self.stopped is not None:
            return
        trials = self.clock.ask(n)
        check_asked(trials, n, self._grid, history.trials, history.evaluations)
        if not trials:
            return
        spent = history.spent
        self._log.append(self.clock.ask_event(n, trials), durable=False)
        self.pending += len(trials)
        before: set[int] | None = set() if history.refused else None
        self._submit([history.trials[trial.id] for trial in trials], spent, before)

    def _submit(self, trials: list[Trial], spent: float, before: set[int] | None) -> None:
        """Submit trials until the budget is exhausted, and refuse the others.

        `before` holds the ids of the trials asked before the first refused one; None if none is.
        """
        history = self._log.history
        refused: list[int] = []
        for trial in trials:
            price = history.price(trial)
            too_late = refused or (before is not None and trial.id not in before)
            if too_late or spent + price > self._budget + _ROUNDING:
                refused.append(trial.id)
            else:
                spent += price
                self._executor.submit(trial)
        if refused:
            self._log.append(Refused(refused), durable=False)
            self.pending -= len(refused)

    def _asked_before_refused(self) -> set[int] | None:
        """Return the ids of the trials asked before the first refused one; None if none is."""
        history = self._log.history
        if not history.refused:
            return None
        return set(takewhile(lambda id: id not in history.refused, history.trials))

    def answer(self, answer: Answer) -> None:
        """Log an answer and tell the optimizer, or retry a trial that the host interrupted."""
        trial, evaluation = answer.trial, answer.evaluation
        if evaluation is None:
            self._again(trial, answer.retried or "", answer.final)
            return
        event = Evaluated(trial.id, evaluation, time.time(), answer.traceback, answer.simulated_s)
        self._log.append(event, durable=self._executor.flush)
        self._forget(trial)
        self.clock.tell(self._log.history.trials[trial.id], evaluation)
        self.pending -= 1
        self._watch(self._log)

    def _forget(self, trial: Trial) -> None:
        """Remove stored answers once the log is on the disk; it is flushed twice a second."""
        self._answered.append(trial)
        if not self._executor.flush:
            if time.monotonic() < self._next_flush:
                return
            self._log.flush()
            self._next_flush = time.monotonic() + FLUSH_S
        self._executor.forget(self._answered)
        self._answered.clear()

    def _again(self, trial: Trial, reason: str, final: bool) -> None:
        self._tries[trial.id] += 1
        self._log.append(Retried(trial.id, reason, time.time()), durable=False)
        if final:
            raise HostBroken(reason)
        if self._tries[trial.id] >= HOST_TRIES:
            raise HostBroken(
                f"trial {trial.id}: expected its evaluation to end, got a fault of the host "
                f"{HOST_TRIES} times, the last one: {reason}; fix the host and repeat the "
                f"command, which resumes the run"
            )
        self._executor.submit(trial)


def _test_incumbents(executor: Executor, log: RunLog) -> None:
    """Measure the objective's test metrics at the incumbents, unless the log has them already."""
    tested = {test.id for test in log.history.tests() if test.error is None}
    for id in log.history.incumbents():
        if id not in tested:
            _test(executor, log, id)


def _test(executor: Executor, log: RunLog, id: int) -> None:
    """Measure and log the objective's test metrics at one trial."""
    history = log.history
    try:
        metrics, error = executor.test(history.trials[id]), None
    except RuntimeError as reason:
        metrics, error = {}, str(reason)
    if metrics or error is not None:
        log.append(Tested(id, metrics, time.time(), error), durable=False)


class Clock:
    """Measures the time that the optimizer spends inside `ask` and `tell`."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._ask_s = 0.0
        self._tell_s: dict[str, float] = {}

    def ask(self, n: int) -> list[Trial]:
        started = time.perf_counter()
        with faults_of_optimizer("ask"):
            trials = self._optimizer.ask(n)
        self._ask_s = time.perf_counter() - started
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        started = time.perf_counter()
        with faults_of_optimizer("tell"):
            self._optimizer.tell(trial, evaluation)
        self._tell_s[str(trial.id)] = time.perf_counter() - started

    def ask_event(self, n: int, trials: list[Trial]) -> Ask:
        """Return the event of the last ask, with the durations of the tells before it."""
        return Ask(n, trials, self._ask_s, self.told(), time.time())

    def told(self) -> dict[str, float]:
        """Return the durations in seconds of the tells since the last event, by trial id."""
        told, self._tell_s = self._tell_s, {}
        return told
