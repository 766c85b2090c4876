"""The events of a log after its header, and their JSON form.

`experiments/running/log_format.md` describes the keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.running.fields import Fields
from objectives.expected import is_number, refuse
from objectives.trial import Evaluation, Goal, Limit, Trial

Json = dict[str, Any]

MOST_WORKERS = 1024
"""The most trials that are evaluated at once, so no ask is for more."""


@dataclass(frozen=True)
class Ask:
    """An ask that returned trials: all of them, including those that the budget cannot pay."""

    n: int
    trials: list[Trial]
    ask_s: float
    tell_s: dict[str, float]
    time: float

    def to_json(self) -> Json:
        return {
            "event": "ask",
            "n": self.n,
            "trials": [trial.to_json() for trial in self.trials],
            "ask_s": self.ask_s,
            "tell_s": self.tell_s,
            "time": self.time,
        }

    @classmethod
    def read(cls, event: Json) -> "Ask":
        fields = Fields(event, "ask")
        return cls(
            fields.whole("n", 1, MOST_WORKERS),
            [trial_of(trial) for trial in fields.items("trials")],
            fields.number("ask_s"),
            fields.numbers("tell_s"),
            fields.number("time") if "time" in fields else 0.0,
        )


@dataclass(frozen=True)
class Refused:
    """The trials of the last ask that the budget cannot pay; they cost nothing."""

    ids: list[int]

    def to_json(self) -> Json:
        return {"event": "refused", "ids": self.ids}

    @classmethod
    def read(cls, event: Json) -> "Refused":
        ids = Fields(event, "refused").items("ids")
        return cls([Fields({"id": id}, "refused").whole("id") for id in ids])


@dataclass(frozen=True)
class Retried:
    """An evaluation that the host interrupted and that is repeated."""

    id: int
    reason: str
    time: float

    def to_json(self) -> Json:
        return {"event": "retried", "id": self.id, "reason": self.reason, "time": self.time}

    @classmethod
    def read(cls, event: Json) -> "Retried":
        fields = Fields(event, "retried")
        return cls(fields.whole("id"), fields.text("reason"), fields.number("time"))


@dataclass(frozen=True)
class Evaluated:
    """The answer to a trial; `simulated_s` is its simulated time if the clock is simulated."""

    id: int
    evaluation: Evaluation
    time: float
    traceback: str | None = None
    simulated_s: float | None = None

    def to_json(self) -> Json:
        answer = {**self.evaluation.to_json(), "time": self.time}
        if self.traceback is not None:
            answer["traceback"] = self.traceback
        if self.simulated_s is not None:
            answer["simulated_s"] = self.simulated_s
        return {"event": "evaluation", "id": self.id, **answer}

    @classmethod
    def read(cls, event: Json) -> "Evaluated":
        fields = Fields(event, "evaluation")
        return cls(
            fields.whole("id"),
            evaluation_of(fields),
            fields.number("time") if "time" in fields else 0.0,
            fields.text_or_none("traceback") if "traceback" in fields else None,
            fields.number("simulated_s") if "simulated_s" in fields else None,
        )


@dataclass(frozen=True)
class Tested:
    """The test metrics of an incumbent, which are never optimised; `error` if the test failed."""

    id: int
    metrics: dict[str, float]
    time: float
    error: str | None = None

    def to_json(self) -> Json:
        failed = {} if self.error is None else {"error": self.error}
        about = {"id": self.id, "metrics": self.metrics, **failed, "time": self.time}
        return {"event": "test", **about}

    @classmethod
    def read(cls, event: Json) -> "Tested":
        fields = Fields(event, "test")
        return cls(
            fields.whole("id"),
            fields.numbers("metrics"),
            fields.number("time") if "time" in fields else 0.0,
            fields.text_or_none("error") if "error" in fields else None,
        )


@dataclass(frozen=True)
class Ended:
    """The budget is spent, the optimizer has no more trials, or a rule ended the run.

    `reason` says which rule did, and why; None if none did.
    """

    budget: float
    spent: float
    tell_s: dict[str, float] = field(default_factory=dict)
    reason: str | None = None

    def to_json(self) -> Json:
        stopped = {} if self.reason is None else {"reason": self.reason}
        about = {"budget": self.budget, "spent": self.spent, "tell_s": self.tell_s}
        return {"event": "end", **about, **stopped}

    @classmethod
    def read(cls, event: Json) -> "Ended":
        fields = Fields(event, "end")
        told = fields.numbers("tell_s") if "tell_s" in fields else {}
        reason = fields.text("reason") if "reason" in fields else None
        return cls(_positive(fields, "budget"), fields.number("spent"), told, reason)


@dataclass(frozen=True)
class Extended:
    """The run received a larger budget."""

    budget: float
    time: float

    def to_json(self) -> Json:
        return {"event": "extend", "budget": self.budget, "time": self.time}

    @classmethod
    def read(cls, event: Json) -> "Extended":
        fields = Fields(event, "extend")
        when = fields.number("time") if "time" in fields else 0.0
        return cls(_positive(fields, "budget"), when)


@dataclass(frozen=True)
class Drifted:
    """The first trials that differ between a replayed optimizer and the log."""

    asked: list[Json]
    logged: list[Json]

    def to_json(self) -> Json:
        return {"event": "drift", "asked": self.asked, "logged": self.logged}

    @classmethod
    def read(cls, event: Json) -> "Drifted":
        fields = Fields(event, "drift")
        return cls(fields.items("asked"), fields.items("logged"))


Event = Ask | Refused | Retried | Evaluated | Tested | Ended | Extended | Drifted

_KINDS: dict[str, Callable[[Json], Event]] = {
    "ask": Ask.read,
    "refused": Refused.read,
    "retried": Retried.read,
    "evaluation": Evaluated.read,
    "test": Tested.read,
    "end": Ended.read,
    "extend": Extended.read,
    "drift": Drifted.read,
}


def read_event(event: Json) -> Event:
    """Return the event of a parsed line of a log.

    Raises:
        ValueError: the line is not an event, or one of its values has the wrong type.
    """
    kind = Fields(event, "event").text("event")
    if kind not in _KINDS:
        refuse("event", f"one of {', '.join(_KINDS)}", kind)
    return _KINDS[kind](event)


def trial_of(event: Any) -> Trial:
    """Return the trial that a JSON object describes.

    Raises:
        ValueError: the object does not describe a trial.
    """
    fields = Fields(event, "trial")
    fidelity = fields.number("fidelity")
    if not 0 < fidelity <= 1:
        refuse("trial.fidelity", "a share in (0, 1]", fidelity)
    resumes = fields.whole("resumes") if "resumes" in fields else None
    return Trial(fields.whole("id"), fields.config("config"), fidelity, resumes)


def evaluation_of(fields: Fields) -> Evaluation:
    """Return the evaluation that the fields of a JSON object describe.

    Whether it may lack a value depends on the goals; `check_answer` tells.

    Raises:
        ValueError: the fields do not describe an evaluation.
    """
    value, error = fields.number_or_none("value"), fields.text_or_none("error")
    items = fields.texts("items") if "items" in fields else {}
    return Evaluation(value, fields.number("cost"), fields.numbers("metrics"), error, items)


def check_answer(
    evaluation: Evaluation, goals: Mapping[str, Goal], limits: Mapping[str, Limit]
) -> None:
    """Raise `ValueError` unless a success has what the goals and limits are judged by.

    That is a value, or with several goals no value but a metric of each. Every limit needs its
    metric.
    """
    several = len(goals) > 1
    if evaluation.error is not None:
        return
    if evaluation.value is None and not several:
        refuse("evaluation.value", "a number unless there is an error", None)
    if evaluation.value is not None and several:
        refuse("evaluation.value", "null, as there are several goals", evaluation.value)
    for name in [*(goals if several else ()), *limits]:
        if name not in evaluation.metrics:
            refuse(f"evaluation.metrics.{name}", "a number, as of each goal and limit", None)


def _positive(fields: Fields, key: str) -> float:
    value = fields.number(key)
    return value if value > 0 and is_number(value) else refuse(key, "a positive number", value)
