"""BaMSOO with failures, with values of any size, and with trials that drifted."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest

from objectives.space import build_space
from objectives.trial import Evaluation, Trial
from optimizers.soo import SOO
from watched_bamsoo import Watched, bowl_at, bowl_value, scripted, unit_space


def test_a_failure_enters_the_model_as_the_worst_value() -> None:
    optimizer, model = scripted(0.0, 100.0)
    for value in (1.0, None, 7.0):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, Evaluation(value, 0.0, error=None if value else "died"))
    optimizer.ask(1)
    assert model.values == [1.0, 7.0, 7.0]


@pytest.mark.parametrize("every", [1, 3])
def test_it_survives_failures(every: int) -> None:
    optimizer = Watched(unit_space(2))
    for n in range(40):
        (trial,) = optimizer.ask(1)
        failed = n % every == 0
        value, error = (None, "died") if failed else (bowl_value(trial), None)
        optimizer.tell(trial, Evaluation(value, 0.0, error=error))
    assert len(optimizer.asked_trials) == 40


def _best(optimizer: SOO, told: Callable[[float, int], float], seed: int) -> float:
    """Return the log of the least value of a bowl in a run that is told transformed values."""
    bowl, best = bowl_at(seed), math.inf
    for _ in range(50):
        (trial,) = optimizer.ask(1)
        best = min(best, bowl(trial))
        optimizer.tell(trial, Evaluation(told(bowl(trial), trial.id), 0.0))
    return math.log10(best)


@pytest.mark.parametrize("cliff", [22.0, 1e9, 1e300])
def test_one_cliff_does_not_make_it_blind(cliff: float) -> None:
    def told(value: float, id: int) -> float:
        return cliff if id == 4 else 2 + 0.01 * value

    ours = [_best(Watched(unit_space(2)), told, seed) for seed in range(6)]
    soo = SOO(unit_space(2), seed=0, k=3, variant="v2", budget=50)
    theirs = [_best(copy.deepcopy(soo), told, seed) for seed in range(6)]
    assert np.mean(ours) < np.mean(theirs)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(lambda v, n: 1e300 * v, id="all near 1e300"),
        pytest.param(lambda v, n: 1.7e308 * (v - 1), id="up to 1.7e308, of both signs"),
        pytest.param(lambda v, n: 1e9 + 1e-3 * v, id="a relative spread of 1e-12"),
        pytest.param(lambda v, n: 1e-300 * v, id="near 1e-300"),
    ],
)
def test_no_size_of_the_values_makes_it_blind(told: Callable[[float, int], float]) -> None:
    plain = _best(Watched(unit_space(2)), lambda v, n: v, seed=0)
    assert _best(Watched(unit_space(2)), told, seed=0) < max(plain + 1, -3)


def test_failures_are_worse_than_a_single_success_to_the_model() -> None:
    optimizer, model = scripted(0.0, 100.0)
    for value in (None, -4.0, 8.0):
        (trial,) = optimizer.ask(1)
        failed = value != -4.0  # the last one with a graded penalty
        optimizer.tell(trial, Evaluation(value, 0.0, error="died" if failed else None))
    optimizer.ask(1)
    assert model.values[0] > model.values[1] < model.values[2]


def test_it_goes_on_where_only_penalties_are_known() -> None:
    optimizer = Watched(unit_space(2))
    for n in range(20):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, Evaluation(1e4 + n, 0.0, error="died"))
    assert len(optimizer.asked_trials) == 20 and not optimizer.bounds


def test_a_finite_space_is_evaluated_whole_and_then_it_has_finished() -> None:
    space = build_space(
        {
            "n": {"type": "int", "lower": 1, "upper": 9},
            "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
        },
        forbidden=[{"n": 5, "kind": "b"}],
    )
    optimizer = Watched(space)
    found = []
    while trials := optimizer.ask(2):
        for trial in trials:
            n, kind = trial.config["n"], trial.config["kind"]
            assert isinstance(n, int)
            found.append((n, kind))
            optimizer.tell(trial, Evaluation((n - 7) ** 2 + (kind != "c"), 0.0))
    assert len(found) == len(set(found)) == 9 * 3 - 1


def test_a_drifted_trial_enters_the_data_where_it_was_evaluated() -> None:
    optimizer = Watched(unit_space(1))
    (root,) = optimizer.ask(1)
    optimizer.tell(Trial(root.id, {"x0": 1 / 6}), Evaluation(1.0, 0.0))
    optimizer.tell(Trial(9, {"x0": 0.3}), Evaluation(2.0, 0.0))
    (trial,) = optimizer.ask(1)
    assert trial.id == 10 and optimizer.n_data() == 2
    assert optimizer.score({"x0": 1 / 6}) == 1.0
