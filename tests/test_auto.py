"""Facts of `auto`: which branch a space and a budget fall into, and that the choice is run."""

import pytest
from ConfigSpace import ConfigurationSpace

from asking import MIXED, SPACES, answers, converse, floats
from experiments.testing.plug_ins import OptimizerYaml
from optimizers.auto import branch


@pytest.mark.parametrize(
    ("dim", "n", "expected"),
    [(5, 50, "few"), (60, 1000, "few"), (5, 1001, "many"), (21, 1001, "many")],
)
def test_a_numeric_space_is_served_by_its_size_and_the_budget(
    dim: int, n: int, expected: str
) -> None:
    assert branch(floats(dim), n) == expected


def test_conditions_or_mostly_choices_ask_for_a_typed_optimizer_at_a_large_budget() -> None:
    assert branch(SPACES["conditional"], 5000) == "many_typed"
    assert branch(SPACES["one choice"], 5000) == "many_typed"
    assert branch(MIXED, 5000) == "many"
    assert branch(SPACES["conditional"], 50) == "few"


@pytest.mark.parametrize(
    ("space", "budget", "chosen"),
    [(floats(3), 20, "gp_bo"), (SPACES["conditional"], 2000, "tpe"), (floats(3), 2000, "cma_es")],
)
def test_the_trials_are_those_of_the_optimizer_that_is_chosen(
    space: ConfigurationSpace, budget: int, chosen: str
) -> None:
    auto, named = (OptimizerYaml(name)(space, 4, budget) for name in ("auto", chosen))
    assert type(auto) is type(named)
    assert converse(auto, answers(space), 14) == converse(named, answers(space), 14)
    assert not auto.extendable and auto.own
