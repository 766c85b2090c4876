"""Every optimizer on two goals and a limit: it searches them, or one line says why not."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from asking import NAMES
from experiments.testing.goals_suite import GOAL_FACTS, GOALS, LIMITS, GoalsSuite, refusal
from experiments.testing.plug_ins import OptimizerYaml

LIMITED = {name: OptimizerYaml(name, goals=GOALS, limits=LIMITS) for name in NAMES}
TAKEN = [name for name in NAMES if refusal(LIMITED[name]) is None]


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_takes_two_goals_or_one_line_refuses_it(name: str) -> None:
    line = refusal(OptimizerYaml(name, goals=GOALS))
    if line is not None:
        assert "\n" not in line and "scalarise=" in line and "loss" in line
        assert name not in TAKEN


QUICK = ("test_failures_of_every_evaluation_are_survived", "test_an_unknown_trial_is_learned_from")
"""The facts that take only a few seconds for every optimizer."""

COSTLY = ("qlognehvi",)
"""Optimizers for which the other facts take more than ten seconds of CPU time."""


def _cases() -> Iterator[Any]:
    for fact, name in product(GOAL_FACTS, TAKEN):
        slow = name in COSTLY and fact not in QUICK
        yield pytest.param(fact, name, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("fact", "name"), list(_cases()))
def test_an_optimizer_of_several_goals_keeps_the_contract(fact: str, name: str) -> None:
    getattr(GoalsSuite.of(LIMITED[name])(), fact)()
