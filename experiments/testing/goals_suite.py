"""Tests of the facts that must hold for every optimizer on several goals, and with limits.

An optimizer either searches such a problem, by itself or under a scalarisation, or is refused in
one line. `GoalsSuite.of(maker)` creates a class of tests from a function that makes an optimizer
for the goals `GOALS` and, if asked, the limits `LIMITS`; `refusal` returns the line.
"""

from collections.abc import Sequence
from typing import Any, cast

from ConfigSpace import ConfigurationSpace

from experiments.testing.conversation import LENGTH, MIXED, Answer, converse, value
from experiments.testing.hard_answers import LARGEST
from experiments.testing.plug_ins import MakeOptimizer
from objectives.space import check
from objectives.trial import Evaluation, Goal, Limit, Trial
from optimizers.optimizer import Optimizer

GOALS = (
    ("loss", Goal(minimise=True, reference=2.0)),
    ("rate", Goal(minimise=False, reference=-2.0)),
)
LIMITS = (("memory", Limit(1.0)),)


def refusal(maker: MakeOptimizer) -> str | None:
    """Return the line that refuses an optimizer; None if it is made."""
    try:
        maker(MIXED, seed=0, budget=LENGTH)
    except ValueError as error:
        return str(error)
    return None


class GoalsSuite:
    """The tests. A subclass defines how its optimizer is created."""

    def make(self, space: ConfigurationSpace, seed: int, budget: int) -> Optimizer:
        """Return a fresh optimizer of the goals `GOALS`."""
        raise NotImplementedError

    @classmethod
    def of(cls, maker: MakeOptimizer) -> "type[GoalsSuite]":
        """Return the suite for the optimizers that a picklable function creates."""
        return cast("type[GoalsSuite]", type("Suite", (cls,), {"make": staticmethod(maker)}))

    def test_the_same_seed_asks_the_same_trials(self) -> None:
        answer = failing_every_third(MIXED)
        first, second = (converse(self.make(MIXED, 3, LENGTH), answer) for _ in range(2))
        assert first == second
        for trial in first:
            check(MIXED, trial.config)

    def test_failures_of_every_evaluation_are_survived(self) -> None:
        trials = converse(self.make(MIXED, 7, LENGTH), _all_fail, n=2)
        assert len(trials) >= LENGTH - 3

    def test_graded_failures_are_survived(self) -> None:
        trials = converse(self.make(MIXED, 7, LENGTH), _graded, n=2)
        assert len(trials) >= LENGTH - 3

    def test_numbers_of_any_size_are_survived(self) -> None:
        for answer in NUMBERS.values():
            trials = converse(self.make(MIXED, 7, LENGTH), answer, n=2)
            assert len(trials) >= 2  # one extreme number may exclude everything else
            for trial in trials:
                check(MIXED, trial.config)

    def test_a_replay_resumes_from_every_line(self) -> None:
        answer = failing_every_third(MIXED)
        whole = converse(self.make(MIXED, 8, LENGTH), answer)
        for n_told in range(len(whole) - 1):
            cut = self.make(MIXED, 8, LENGTH)
            converse(cut, answer, n_told)
            (pending,) = cut.ask(1)
            assert pending == whole[n_told]
            cut.tell(pending, answer(pending))
            assert cut.ask(1) == whole[n_told + 1 : n_told + 2]

    def test_an_unknown_trial_is_learned_from(self) -> None:
        optimizer = self.make(MIXED, 9, LENGTH)
        answer = failing_every_third(MIXED)
        told = converse(optimizer, answer, LENGTH - 3)
        stranger = Trial(told[-1].id + 5, dict(told[0].config))
        optimizer.tell(stranger, answer(Trial(1, stranger.config)))
        (after,) = optimizer.ask(1)
        assert after.id > stranger.id
        check(MIXED, after.config)


def two_goals(space: ConfigurationSpace) -> Answer:
    """Return a function that evaluates two goals, whose optima lie apart, and a limited metric."""

    def answer(trial: Trial) -> Evaluation:
        loss, against = value(space, trial, 0.3), value(space, trial, 0.7)
        return Evaluation(None, 1.0, {"loss": loss, "rate": -against, "memory": 4 * loss})

    return answer


def failing_every_third(space: ConfigurationSpace) -> Answer:
    """Return `two_goals` whose trials 0, 3, 6, ... fail."""
    failed = Evaluation(None, cost=1.0, error="every third fails")
    return lambda trial: failed if trial.id % 3 == 0 else two_goals(space)(trial)


def _sized(loss: Sequence[float], rate: Sequence[float], memory: float = 0.0) -> Answer:
    """Return a function that returns the given numbers of each goal in turn."""

    def answer(trial: Trial) -> Evaluation:
        own = loss[trial.id % len(loss)], rate[trial.id % len(rate)]
        return Evaluation(None, 1.0, {"loss": own[0], "rate": own[1], "memory": memory})

    return answer


_STEPS = [0.1 * k for k in range(20)]
NUMBERS: dict[str, Answer] = {
    "all equal": _sized([1.0], [1.0]),
    "one goal constant": _sized(_STEPS, [1.0]),
    "one cliff": _sized([0.3, 1e300, *_STEPS], _STEPS),
    "the largest": _sized([LARGEST, -LARGEST, 1.0], [1.0, LARGEST, -LARGEST]),
    "beyond the references": _sized([x + 9 for x in _STEPS], [x - 90 for x in _STEPS]),
    "the limit is never kept": _sized(_STEPS, _STEPS[::-1], memory=1e9),
}
"""Functions that return numbers of unusual sizes, by what is unusual."""


def _all_fail(trial: Trial) -> Evaluation:
    return Evaluation(None, cost=1.0, error="all fail")


def _graded(trial: Trial) -> Evaluation:
    if trial.id % 2:
        return two_goals(MIXED)(trial)
    return Evaluation(1e4 + trial.id, cost=1.0, error="failed, but how far it got is known")


GOAL_FACTS: list[Any] = [name for name in vars(GoalsSuite) if name.startswith("test_")]
"""The names of the tests."""
