"""The run loop: ask, evaluate, log, tell; and the same again from the log after a kill."""

import time
from collections.abc import Callable

from experiments.running import interrupts
from experiments.running.executors.evaluator import Evaluator
from experiments.running.run_log import Event, RunLog
from objectives.objective import Objective
from objectives.trial import Evaluation, Trial
from optimizers.optimizer import Optimizer

_ROUNDING = 1e-9  # shares of a budget such as 1/3 do not add up exactly

Watch = Callable[[RunLog], None]
"""Called after every evaluation that was logged."""


def run(
    optimizer: Optimizer,
    objective: Objective,
    budget: float,
    log: RunLog,
    evaluator: Evaluator,
    n_workers: int = 1,
    watch: Watch = lambda log: None,
) -> None:
    """Spend `budget` full-evaluation equivalents, going on where the log ends.

    The log must have its header. Trials that were asked but not evaluated are evaluated
    first. An evaluation is on the disk before the optimizer is told.
    """
    clock = Clock(optimizer)
    replay(optimizer, log)
    history = log.history
    pending = [trial for id, trial in history.trials.items() if id not in history.evaluations]
    for trial in pending:
        evaluator.submit(trial)
    n_pending = len(pending)
    while True:
        left = budget - history.spent + _ROUNDING
        n = min(n_workers - n_pending, max(int(left), 1))
        if n > 0 and left > _ROUNDING:
            trials = [trial for trial in clock.ask(n) if trial.fidelity <= left]
            if trials:
                log.append(clock.ask_event(n, trials))
            for trial in trials:
                evaluator.submit(trial)
            n_pending += len(trials)
        if n_pending == 0:
            break
        with interrupts.released():
            trial, evaluation, traceback = evaluator.next()
        log.append(_evaluation_event(trial, evaluation, traceback))
        clock.tell(trial, evaluation)
        n_pending -= 1
        watch(log)
    _test_incumbent(objective, log)
    log.append({"event": "end", "budget": budget, "spent": history.spent, **clock.told()})


def _evaluation_event(trial: Trial, evaluation: Evaluation, traceback: str | None) -> Event:
    event = {"event": "evaluation", "id": trial.id, **evaluation.to_json(), "time": time.time()}
    return event if traceback is None else {**event, "traceback": traceback}


def _test_incumbent(objective: Objective, log: RunLog) -> None:
    """Measure the objective's test metrics at the incumbent, once per incumbent."""
    id = log.history.incumbent()
    tested = [event["id"] for event in log.history.events if event["event"] == "test"]
    if id is None or id in tested:
        return
    with interrupts.released():
        metrics = objective.test(log.history.trials[id])
    if metrics:
        log.append({"event": "test", "id": id, "metrics": metrics, "time": time.time()})


class Clock:
    """Times what the optimizer spends inside `ask` and `tell`."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._ask_s = 0.0
        self._tell_s: dict[str, float] = {}

    def ask(self, n: int) -> list[Trial]:
        started = time.perf_counter()
        with interrupts.held():
            trials = self._optimizer.ask(n)
        self._ask_s = time.perf_counter() - started
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        started = time.perf_counter()
        with interrupts.held():
            self._optimizer.tell(trial, evaluation)
        self._tell_s[str(trial.id)] = time.perf_counter() - started

    def ask_event(self, n: int, trials: list[Trial]) -> Event:
        """Return the event of the last ask, with the seconds of the tells before it."""
        asked = {"event": "ask", "n": n, "trials": [trial.to_json() for trial in trials]}
        return {**asked, "ask_s": self._ask_s, **self.told(), "time": time.time()}

    def told(self) -> Event:
        """Return the seconds of the tells since the last event."""
        told, self._tell_s = self._tell_s, {}
        return {"tell_s": told}


def replay(optimizer: Optimizer, log: RunLog) -> None:
    """Feed the log to a fresh optimizer, in the logged order of asks and tells.

    It must ask the same trials. Where it does not (another BLAS, another library version),
    the logged ones are told as they are, and the log gets a `drift` event.
    """
    drift: Event | None = None
    history = log.history
    for event in history.events:
        if event["event"] == "ask":
            with interrupts.held():
                asked = optimizer.ask(event["n"])
            logged = [history.trials[fields["id"]] for fields in event["trials"]]
            if drift is None and asked != logged:
                drift = _drift(asked, logged)
            known = {trial.id for trial in logged}
            for trial in asked:
                if trial.id not in known:
                    refused = Evaluation(None, 0.0, error="not in the log that is replayed")
                    optimizer.tell(trial, refused)
        elif event["event"] == "evaluation":
            optimizer.tell(history.trials[event["id"]], history.evaluations[event["id"]])
    if drift is not None and drift not in history.events:
        log.append(drift)


def _drift(asked: list[Trial], logged: list[Trial]) -> Event:
    """Describe the first trial that differs."""
    pairs = zip(asked, logged, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(asked), len(logged)))
    return {
        "event": "drift",
        "asked": [trial.to_json() for trial in asked[place : place + 1]],
        "logged": [trial.to_json() for trial in logged[place : place + 1]],
    }
