"""The contents of a log, updated event by event."""

from dataclasses import dataclass, field, replace
from typing import Any

from experiments.running.earlier import header_of
from experiments.running.events import (
    Ask,
    Drifted,
    Ended,
    Evaluated,
    Event,
    Extended,
    Refused,
    Tested,
    check_answer,
    read_event,
)
from experiments.running.header import Header
from experiments.running.incumbent import Incumbent
from objectives.trial import Evaluation, Trial


@dataclass
class History:
    """The contents of a log.

    Attributes:
        header: the first event; None if the log is empty.
        events: all events after the header, in order.
        trials: all trials by id, in the order in which they were asked.
        evaluations: all evaluations by trial id, in the order in which they arrived.
        refused: the ids of the trials that the current budget does not pay.
        spent: the budget that all asked trials use, except the refused ones.
        done: the part of `spent` that belongs to finished evaluations.
        budget: the latest budget, from the header, an extension or the end of the run.
        ended: whether the run has spent `budget`, its optimizer has no more trials, or a rule
            ended it.
        stopped: why a rule ended the run; None if none did, or if the run went on.
    """

    header: Header | None = None
    events: list[Event] = field(default_factory=list)
    trials: dict[int, Trial] = field(default_factory=dict)
    evaluations: dict[int, Evaluation] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    spent: float = 0.0
    done: float = 0.0
    budget: float = 0.0
    ended: bool = False
    stopped: str | None = None
    _best: Incumbent = field(default_factory=Incumbent)

    def incumbent(self) -> int | None:
        """Return the id of the incumbent's trial, according to the rule in `incumbent.py`."""
        return self._best.id

    def incumbents(self) -> list[int]:
        """Return the ids of the incumbents: one at most, or with several goals a set."""
        return self._best.ids

    def pending(self) -> list[Trial]:
        """Return the trials that were neither evaluated nor refused, in the order of asking."""
        known = self.evaluations.keys() | self.refused
        return [trial for id, trial in self.trials.items() if id not in known]

    def price(self, trial: Trial) -> float:
        """Return the budget that a trial uses: its fidelity minus that of the trial it resumes."""
        before = 0.0 if trial.resumes is None else self.trials[trial.resumes].fidelity
        return trial.fidelity - before

    def tests(self) -> list[Tested]:
        """Return the test measurements at incumbents, in order."""
        return [event for event in self.events if isinstance(event, Tested)]

    def drifts(self) -> list[Drifted]:
        """Return the cases in which a replayed optimizer asked for other trials than logged."""
        return [event for event in self.events if isinstance(event, Drifted)]

    def read(self, line: Any) -> None:
        """Add the event of one parsed line of a log.

        Raises:
            ValueError: the event cannot follow the earlier ones; nothing has changed.
        """
        if isinstance(line, dict) and line.get("event") == "header":
            if self.header is not None:
                raise ValueError("expected one header, as the first event, got another")
            self.begin(header_of(line))
            return
        self.add(read_event(line))

    def begin(self, header: Header) -> None:
        """Set the header."""
        self.header, self.budget = header, header.budget
        self._best = Incumbent(header.goals, header.limits)

    def add(self, event: Event) -> None:
        """Check and add one event.

        Raises:
            ValueError: the event cannot follow the earlier ones; nothing has changed.
        """
        self.check(event)
        self.take(event)

    def check(self, event: Event) -> None:
        """Raise `ValueError` unless the event can follow the earlier ones."""
        if self.header is None:
            raise ValueError("expected a header as the first event, got another")
        if isinstance(event, Ask):
            self._check_trials(event.trials)
        elif isinstance(event, Evaluated):
            if event.id not in self.trials or event.id in self.evaluations:
                raise ValueError(f"expected an answer to a pending trial, got id {event.id}")
            check_answer(event.evaluation, self.header.goals, self.header.limits)
        elif isinstance(event, Refused):
            for id in event.ids:
                if id not in self.trials or id in self.evaluations or id in self.refused:
                    raise ValueError(f"expected the refusal of a pending trial, got id {id}")
        elif isinstance(event, Tested) and event.id not in self.evaluations:
            raise ValueError(f"expected a test of an evaluated trial, got id {event.id}")

    def _check_trials(self, trials: list[Trial]) -> None:
        new: dict[int, Trial] = {}
        for trial in trials:
            if trial.id in self.trials or trial.id in new:
                raise ValueError(f"expected a new trial, got id {trial.id}, which was asked before")
            if trial.resumes is not None:
                before = self.trials.get(trial.resumes) or new.get(trial.resumes)
                if before is None or before.fidelity >= trial.fidelity:
                    rule = "a trial asked before, of a lower fidelity"
                    got = "an unknown trial" if before is None else f"fidelity {before.fidelity:g}"
                    where = f"trial {trial.id} resumes {trial.resumes}"
                    raise ValueError(f"{where}: expected {rule}, got {got}")
            new[trial.id] = trial

    def take(self, event: Event) -> None:
        """Add an event that has been checked."""
        self.events.append(event)
        if isinstance(event, Ask):
            for trial in event.trials:
                own = replace(trial, config=dict(trial.config))  # the optimizer keeps its own
                self.trials[trial.id] = own
                self.spent += self.price(own)
            self.ended, self.stopped = False, None
        elif isinstance(event, Evaluated):
            trial = self.trials[event.id]
            self.evaluations[event.id] = event.evaluation
            self.done += self.price(trial)
            self._best.told(event.id, event.evaluation, trial.fidelity)
            if event.id in self.refused:  # a log of an earlier format, cut before its extension
                self._pay({event.id})
        elif isinstance(event, Refused):
            self.refused.update(event.ids)
            self.spent -= sum(self.price(self.trials[id]) for id in event.ids)
        elif isinstance(event, Extended):
            self.budget, self.ended, self.stopped = event.budget, False, None
            self._pay(set(self.refused))
        elif isinstance(event, Ended):
            self.budget, self.ended, self.stopped = event.budget, True, event.reason

    def _pay(self, ids: set[int]) -> None:
        """Make refused trials pending again."""
        self.refused -= ids
        self.spent += sum(self.price(self.trials[id]) for id in ids)
