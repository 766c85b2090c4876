"""Every optimizer YAML on two goals and a limit: it searches them, or one line says why not."""

import pytest

from asking import NAMES
from experiments.testing.goals_suite import GOAL_FACTS, GOALS, LIMITS, GoalsSuite, refusal
from experiments.testing.plug_ins import OptimizerYaml

LIMITED = {name: OptimizerYaml(name, goals=GOALS, limits=LIMITS) for name in NAMES}
SCALARISED = OptimizerYaml("lhs", goals=GOALS)
TAKEN = [name for name in NAMES if refusal(LIMITED[name]) is None]


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_takes_two_goals_or_one_line_refuses_it(name: str) -> None:
    line = refusal(OptimizerYaml(name, goals=GOALS))
    if line is not None:
        assert "\n" not in line and "scalarise=" in line and "loss" in line
        assert name not in TAKEN


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("fact", GOAL_FACTS)
def test_an_optimizer_of_several_goals_keeps_the_contract(fact: str, name: str) -> None:
    getattr(GoalsSuite.of(LIMITED[name])(), fact)()
