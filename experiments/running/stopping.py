"""Rules that end a run before its budget is spent, as `conf/stop/*.yaml` describes them.

A rule reads only what the log contains: configurations, values, prices, costs and times. It is
applied before each ask. Pending trials are evaluated and told, and the run then ends; the end
event of the log states the reason. The same command with a larger limit, or with `stop=none`,
continues the run. A rule changes no trial, so it is not part of a run's identity.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hydra.utils import instantiate

from experiments.running.events import Ask, Ended, Evaluated
from experiments.running.header import Header
from experiments.running.history import History
from experiments.running.incumbent import Incumbent
from experiments.running.regret import check_installed, regret_bound

HOUR_S = 3600.0


class StopRule(Protocol):
    """Decides whether a run ends before its budget is spent. It must not use any randomness."""

    def check(self, header: Header) -> None:
        """Raise `ValueError` if the rule cannot be applied to a run with this header."""
        ...

    def reason(self, history: History) -> str | None:
        """Return why the run should end now, on one line; None if it should go on."""
        ...


@dataclass
class Limits:
    """Ends a run at the first of several limits; None means that a limit is not set.

    Attributes:
        hours: the time in hours in which the run evaluated or asked, summed over all its
            processes. Pauses between two commands do not count, and trials that are evaluated at
            once count once. Under a simulated clock, it is the simulated time.
        cost: the sum of the costs of all evaluations, in seconds.
        patience: the budget, in full evaluations, spent since the incumbent last changed.
        regret: the bound on the regret of the incumbent, in units of the value, as
            `regret.regret_bound` computes it.

    Raises:
        ValueError: a limit is not a positive number.
    """

    hours: float | None = None
    cost: float | None = None
    patience: float | None = None
    regret: float | None = None
    _progress: "Progress | None" = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("hours", "cost", "patience", "regret"):
            limit = getattr(self, name)
            number = isinstance(limit, int | float) and not isinstance(limit, bool)
            if limit is not None and not (number and 0 < limit < math.inf):
                raise ValueError(f"stop.{name}: expected null or a positive number, got {limit!r}")

    def check(self, header: Header) -> None:
        """Check that the regret can be bounded, if it is limited.

        Raises:
            ValueError: the run has several goals.
            ModuleNotFoundError: Optuna or PyTorch is not installed.
        """
        if self.regret is None:
            return
        check_installed()
        if header.several:
            goals = ", ".join(header.goals)
            raise ValueError(
                f"stop.regret: expected an objective with one goal, got the goals {goals}; "
                f"stop.patience= accepts several"
            )

    def reason(self, history: History) -> str | None:
        """Return the first limit that the run has reached."""
        if self == Limits():
            return None
        if self._progress is None or self._progress.history is not history:
            self._progress = Progress(history)
        progress = self._progress
        progress.update()
        reached = {
            "hours": (progress.work_s / HOUR_S, "hours of work"),
            "cost": (progress.cost_s, "seconds of cost"),
            "patience": (progress.unimproved, "full evaluations without an improvement"),
        }
        for name, (so_far, what) in reached.items():
            limit = getattr(self, name)
            if limit is not None and so_far >= limit - _ROUNDING:
                return f"stop.{name}={limit:g}: {so_far:.6g} {what}"
        bound = None if self.regret is None else regret_bound(history)
        if self.regret is None or bound is None or bound > self.regret:
            return None
        return f"stop.regret={self.regret:g}: the regret is at most {bound:.6g}"


_ROUNDING = 1e-9  # fractions of the budget such as 1/3 do not add up exactly


class Busy:
    """The length of a union of time intervals, which arrive roughly in order of their ends."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self._apart: list[tuple[float, float]] = []  # disjoint intervals, ascending

    def add(self, start: float, end: float) -> None:
        """Add the interval from `start` to `end`, in seconds."""
        while self._apart and self._apart[-1][1] >= start:
            before = self._apart.pop()
            self.total_s -= before[1] - before[0]
            start, end = min(start, before[0]), max(end, before[1])
        self.total_s += end - start
        self._apart.append((start, end))


class Progress:
    """What the limits are compared with, computed from the events of a log.

    An evaluation was at work for its cost, up to its answer, but not before it was asked: a
    simulated cost may be longer than that. An ask and a tell were at work for their logged
    durations.

    Attributes:
        history: the contents of the log; `update` reads what was added since.
        cost_s: the sum of the costs of all evaluations.
    """

    def __init__(self, history: History) -> None:
        header = history.header
        assert header is not None
        self.history, self.cost_s = history, 0.0
        self._n_read, self._simulated = 0, header.clock is not None
        self._best = Incumbent(header.goals, header.limits)
        self._done = self._improved = self._simulated_s = 0.0
        self._busy = Busy()
        self._asked: dict[int, float] = {}
        self._answered: dict[int, float] = {}

    @property
    def work_s(self) -> float:
        """The seconds in which the run evaluated or asked; see `Limits.hours`."""
        return self._simulated_s if self._simulated else self._busy.total_s

    @property
    def unimproved(self) -> float:
        """The budget of the evaluations since the incumbent last changed."""
        return self._done - self._improved

    def update(self) -> None:
        """Read the events that were added to the log since the last call."""
        for event in self.history.events[self._n_read :]:
            if isinstance(event, Evaluated):
                self._evaluated(event)
            if isinstance(event, Ask | Ended):
                for id, tell_s in event.tell_s.items():
                    at = self._answered.get(int(id), 0.0)
                    self._busy.add(at, at + tell_s)
            if isinstance(event, Ask):
                self._asked.update({trial.id: event.time for trial in event.trials})
                self._busy.add(event.time - event.ask_s, event.time)
        self._n_read = len(self.history.events)

    def _evaluated(self, event: Evaluated) -> None:
        trial, evaluation = self.history.trials[event.id], event.evaluation
        self._answered[event.id] = event.time
        began = max(self._asked.get(event.id, 0.0), event.time - evaluation.cost)
        self._busy.add(min(event.time, began), event.time)
        self._simulated_s = max(self._simulated_s, event.simulated_s or 0.0)
        self.cost_s += evaluation.cost
        self._done += self.history.price(trial)
        if self._best.told(event.id, evaluation, trial.fidelity):
            self._improved = self._done


def rule_of(settings: Mapping[str, Any]) -> StopRule:
    """Return the rule that the settings of conf/stop/*.yaml describe; no limits if empty.

    Raises:
        ValueError: the settings describe something else, or their values are out of range.
        HydraException: nothing can be created from the settings.
    """
    if not settings:
        return Limits()
    made = instantiate(dict(settings), _convert_="all")
    if not callable(getattr(made, "reason", None)) or not callable(getattr(made, "check", None)):
        raise ValueError(f"stop: expected a rule with reason and check, got {type(made).__name__}")
    rule: StopRule = made
    return rule
