"""Optimizers that violate their contract: what they return is refused, what they raise is a bug."""

from typing import Any

import numpy as np
import pytest

from experiments.running.contract import check_trials, faults_of_optimizer
from objectives.trial import Trial

SHARES, CONFIG = (0.5, 1.0), {"x": 0.5}


def _trial(**changes: Any) -> Trial:
    return Trial(**{"id": 0, "config": CONFIG, **changes})


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        (None, "optimizer: expected a list of trials, got None"),
        (_trial(), "expected a list of trials, got Trial"),
        ([CONFIG], "expected a list of trials, got"),
        ((_trial() for _ in range(1)), "expected a list of trials, got <generator"),
        ([_trial(), _trial(id=1), _trial(id=2)], "expected at most 2 trials, as asked for, got 3"),
        ([_trial(config=None)], "trial 0.config: expected parameters with their values, got None"),
        ([_trial(config={"x": np.float64(1)})], "trial 0.config.x: expected a plain Python value"),
        ([_trial(config={"x": float("nan")})], "trial 0.config.x: expected a plain Python value"),
        ([_trial(fidelity=None)], "trial 0.fidelity: expected one of 0.5, 1, got None"),
        ([_trial(fidelity="1")], "trial 0.fidelity: expected one of 0.5, 1, got '1'"),
        ([_trial(fidelity=0.7)], "trial 0.fidelity: expected one of 0.5, 1, got 0.7"),
        ([_trial(resumes=9)], "trial 0.resumes: expected a trial that was evaluated, got 9"),
    ],
)
def test_what_an_ask_returns_is_checked(trials: Any, said: str) -> None:
    with pytest.raises(ValueError) as refused:
        check_trials(trials, 2, SHARES, {3})
    assert said in str(refused.value)


def test_trials_of_the_contract_pass() -> None:
    good = (_trial(), _trial(id=1, fidelity=0.5, resumes=3))
    assert check_trials(good, 2, SHARES, {3}) == list(good)


@pytest.mark.parametrize("error", [ValueError("shapes (2,) (3,)"), SystemExit(0)])
def test_an_error_inside_an_optimizer_is_no_mistake_of_the_users(error: BaseException) -> None:
    with pytest.raises(RuntimeError, match="^optimizer: expected its ask to end, got") as raised:
        with faults_of_optimizer("ask"):
            raise error
    assert raised.value.__cause__ is error


def test_an_optimizer_may_refuse_in_our_form() -> None:
    with pytest.raises(ValueError, match="^grid.order: expected one of a, b, got c$"):
        with faults_of_optimizer("ask"):
            raise ValueError("grid.order: expected one of a, b, got c")
