"""How far a run is: what is done, busy, failed and repeated, and how long the rest will take."""

import math
import time
from dataclasses import dataclass
from statistics import median

from experiments.running.events import Ask, Ended, Evaluated, Retried
from experiments.running.history import History
from objectives.trial import Trial


@dataclass(frozen=True)
class Progress:
    """The progress of one run.

    Attributes:
        state: `done`; `running` if a process of this machine is executing the run; else `stopped`.
        done: the budget that the evaluations have spent, in full evaluations.
        n_failed: the number of failed evaluations.
        last_error: the error of the last of them, or None.
        retried: the evaluations that the host interrupted, each time that it did.
        busy: the pending trials of a running run, each with the seconds since its ask.
        quiet_s: the seconds since the last answer; None before the first.
        each_s: the estimated seconds between two full evaluations; None before the first.
        left_s: the estimated seconds until the budget is spent; None if there is no estimate.
    """

    state: str
    done: float
    n_failed: int
    last_error: str | None
    retried: list[Retried]
    busy: list[tuple[Trial, float]]
    quiet_s: float | None
    each_s: float | None
    left_s: float | None


def progress(history: History, live: bool, now: float | None = None) -> Progress:
    """Return the progress of a run.

    Args:
        history: the contents of its log, with a header.
        live: whether a process is executing the run.
        now: the time in seconds since 1970; None means the current time.
    """
    now = time.time() if now is None else now
    asked: dict[int, float] = {}
    answers: list[float] = []
    retried: list[Retried] = []
    for event in history.events:
        if isinstance(event, Ask):
            asked.update({trial.id: event.time for trial in event.trials})
        elif isinstance(event, Evaluated):
            answers.append(event.time)
        elif isinstance(event, Retried):
            retried.append(event)
    errors = [e.error for e in history.evaluations.values() if e.error is not None]
    state = "running" if live else "done" if history.ended else "stopped"
    each = _each(history, answers)
    to_make = 0.0 if state == "done" else max(0.0, history.budget - history.done)
    return Progress(
        state=state,
        done=history.done,
        n_failed=len(errors),
        last_error=errors[-1] if errors else None,
        retried=retried,
        busy=[(t, max(0.0, now - asked[t.id])) for t in history.pending()] if live else [],
        quiet_s=max(0.0, now - answers[-1]) if answers else None,
        each_s=each,
        left_s=0.0 if to_make == 0 else None if each is None else to_make * each,
    )


def _each(history: History, answers: list[float]) -> float | None:
    """Return the estimated seconds between two full evaluations.

    These are the cost, shared by the workers, and the optimizer's own time. If costs are simulated,
    they are the median of the times between two answers. Neither contains pauses of the run.
    """
    header = history.header
    assert header is not None
    if not answers or history.done <= 0:
        return None
    if header.clock is not None:
        gaps = [after - before for before, after in zip(answers, answers[1:], strict=False)]
        return median(gaps) * len(answers) / history.done if gaps else None
    cost = sum(evaluation.cost for evaluation in history.evaluations.values())
    own = sum(
        (event.ask_s if isinstance(event, Ask) else 0.0) + sum(event.tell_s.values())
        for event in history.events
        if isinstance(event, Ask | Ended)
    )
    each = (cost / header.workers + own) / history.done
    return each if math.isfinite(each) else None
