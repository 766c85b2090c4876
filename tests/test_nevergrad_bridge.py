"""Facts of the bridge to Nevergrad."""

import pytest
from ConfigSpace import ConfigurationSpace

from asking import LENGTH, MIXED, answers, converse, every_third_fails, floats
from objectives.space import check
from optimizers.nevergrad_bridge import NevergradBridge

NAMES = ["NGOpt", "TwoPointsDE", "PSO", "OnePlusOne", "CMA", "Cobyla", "ScrHammersleySearch"]


def _make(name: str, space: ConfigurationSpace = MIXED, budget: float = 20) -> NevergradBridge:
    return NevergradBridge(space, seed=0, name=name, budget=budget, num_workers=1)


@pytest.mark.parametrize("name", NAMES)
def test_other_optimizers_serve_the_space_and_repeat_by_their_seed(name: str) -> None:
    first, second = (converse(_make(name), every_third_fails(MIXED)) for _ in range(2))
    assert first == second
    assert len(first) == LENGTH
    for trial in first:
        check(MIXED, trial.config)


def test_a_method_that_cannot_run_in_parallel_waits_for_its_tell() -> None:
    optimizer = _make("Cobyla", floats(2))
    (trial,) = optimizer.ask(4)
    assert optimizer.ask(1) == []
    optimizer.tell(trial, answers(floats(2))(trial))
    assert len(optimizer.ask(1)) == 1


def test_a_method_that_can_run_in_parallel_fills_every_worker() -> None:
    assert len(_make("TwoPointsDE").ask(8)) == 8


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    with pytest.raises(ValueError) as caught:
        _make("TwoPointDE")
    message = str(caught.value)
    assert message.startswith("nevergrad.name: expected one of the ")
    assert "got TwoPointDE; did you mean TwoPointsDE or " in message
    assert "\n" not in message


def test_a_run_cannot_be_extended_as_nevergrad_plans_with_the_budget() -> None:
    assert not NevergradBridge.extendable
