"""BaMSOO: the bound, which points are evaluated or approximated, and the guards."""

import math
from typing import Any

import numpy as np
import pytest

from objectives.trial import Evaluation, Trial
from optimizers.bamsoo import BaMSOO
from optimizers.soo import SOO
from watched_bamsoo import Watched, bowl_at, bowl_value, scripted, unit_space


def _begin(optimizer: BaMSOO, value: float) -> None:
    """Evaluate the root at `value` and its two new children above it."""
    for n, rise in [(1, 0.0), (2, 0.5)]:
        for trial in optimizer.ask(n):
            optimizer.tell(trial, Evaluation(value + rise, 0.0))


def _run(optimizer: SOO, n: int) -> list[Trial]:
    trials = []
    for _ in range(n):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, Evaluation(bowl_value(trial), 0.0))
        trials.append(trial)
    return trials


@pytest.mark.parametrize(
    # sqrt(2 ln(pi^2 N^2 / 0.3)): ln 32.8987 = 3.49343, ln 3289.87 = 8.09860, + 2 ln 5 = 11.31748.
    ("n", "width"),
    [(1, 2.6433), (10, 4.0246), (50, 4.7576)],
)
def test_a_bound_is_as_wide_as_the_paper_says(n: int, width: float) -> None:
    # Mean 0, sd 1, f+ far below: every child is approximated, its score the LCB, 0 + B_N.
    optimizer, _ = scripted(0.0, 1.0, max_approximations=60)
    _begin(optimizer, -100.0)
    optimizer.ask(1)
    assert optimizer.bounds[n - 1].score == pytest.approx(width, abs=5e-5)


def test_with_infinite_bounds_it_is_soo() -> None:
    class Doubtful(Watched):
        def _factor(self, n: int) -> float:
            return math.inf

    soo = SOO(unit_space(3), seed=0, k=3, variant="v2", budget=50)
    assert _run(Doubtful(unit_space(3)), 50) == _run(soo, 50)


def test_exactly_those_are_approximated_whose_ucb_does_not_reach_the_incumbent() -> None:
    optimizer = Watched(unit_space(2))
    _run(optimizer, 50)
    kinds = set()
    for place, (n, mean, sd, best, approximated, _) in enumerate(optimizer.bounds):
        assert n == place + 1  # N counts the bounds computed
        width = math.sqrt(2 * math.log(math.pi**2 * n**2 / (6 * 0.05)))
        assert approximated == (mean - width * sd > best)
        kinds.add(approximated)
    assert kinds == {True, False}


def test_what_is_approximated_is_not_in_the_data() -> None:
    optimizer = Watched(unit_space(2))
    trials = _run(optimizer, 50)
    approximated = optimizer.approximated()
    assert approximated and optimizer.n_data() == 50
    assert not [trial for trial in trials if trial.config in approximated]


def test_no_configuration_is_evaluated_twice() -> None:
    # So the middle child of an evaluated cell inherits.
    trials = _run(Watched(unit_space(2)), 60)
    assert len({tuple(trial.config.items()) for trial in trials}) == 60


def test_a_middle_child_of_an_approximated_cell_is_scored_anew_with_its_siblings() -> None:
    # mean 1, sd 0 and an incumbent of 0: every child is approximated, at score 1.
    optimizer, model = scripted(1.0, 0.0, max_approximations=30)
    _begin(optimizer, 0.0)
    optimizer.ask(1)
    # Two new children where the parent was evaluated (the middle one inherits), else three.
    assert set(model.sizes) == {2, 3}


def test_the_children_of_a_cell_are_scored_by_one_posterior_call() -> None:
    optimizer, model = scripted(1.0, 0.0, max_approximations=30)
    _begin(optimizer, 0.0)
    optimizer.ask(1)
    # The root was expanded before the model had data.
    calls = len(model.sizes) // 2  # the recording subclass calls the model a second time each time
    assert calls == len(optimizer.expanded_approximated) - 1 > 5


def test_hyperparameters_are_learned_every_few_evaluations_only() -> None:
    # sd 100: everything is evaluated, two per cell. The model is first used with 3 values.
    optimizer, model = scripted(0.0, 100.0, refit_every=5)
    _run(optimizer, 30)
    assert [n for n, _ in model.fits] == list(range(3, 30, 2))
    assert [n for n, refit in model.fits if refit] == [3, 9, 15, 21, 27]


def test_a_stalled_search_evaluates_the_best_approximated_cell() -> None:
    optimizer, _ = scripted(1.0, 0.0, dim=2, max_approximations=20)
    _begin(optimizer, 0.0)
    for _ in range(10):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, Evaluation(2.0, 0.0))
    # The rule is tested after each cell, which adds at most three.
    assert optimizer.longest_row <= 22


@pytest.mark.parametrize("sd", [math.inf, math.nan])
def test_a_bound_that_is_not_finite_means_an_evaluation(sd: float) -> None:
    optimizer, _ = scripted(1.0, sd)
    _run(optimizer, 20)
    assert optimizer.approximated() == []


@pytest.mark.parametrize(
    ("resolve", "expands_approximated"), [("never", True), ("on_expand", False)]
)
def test_an_approximated_leaf_is_resolved_before_expansion_on_request(
    resolve: str, expands_approximated: bool
) -> None:
    optimizer = Watched(unit_space(2), resolve=resolve)
    _run(optimizer, 50)
    assert any(optimizer.expanded_approximated) == expands_approximated


@pytest.mark.parametrize("workers", [4, 16])
@pytest.mark.parametrize("resolve", ["never", "on_expand"])
def test_no_worker_is_idle_and_nothing_is_evaluated_twice(workers: int, resolve: str) -> None:
    rng = np.random.default_rng(workers)
    optimizer = Watched(unit_space(2), resolve=resolve)
    pending: list[Trial] = []
    while len(optimizer.asked_trials) < 80:
        pending += optimizer.ask(workers - len(pending))
        assert len(pending) == workers
        for _ in range(int(rng.integers(1, workers))):
            trial = pending.pop(int(rng.integers(len(pending))))
            optimizer.tell(trial, Evaluation(bowl_value(trial), 0.0))
    configs = {tuple(trial.config.items()) for trial in optimizer.asked_trials}
    assert len(configs) == len(optimizer.asked_trials)


def test_bounds_rest_on_told_values_alone_and_all_are_counted() -> None:
    optimizer, model = scripted(0.0, 100.0)
    _begin(optimizer, 0.0)
    optimizer.ask(8)  # all pending
    assert [n for n, _ in model.fits] == [3]
    assert [bound.n for bound in optimizer.bounds] == list(range(1, len(optimizer.bounds) + 1))
    assert len(optimizer.bounds) >= 8


def test_four_workers_find_about_as_much_an_evaluation_as_one() -> None:
    logs: dict[int, list[float]] = {1: [], 4: []}
    for workers, found in logs.items():
        for seed in range(6):
            optimizer, bowl = Watched(unit_space(2)), bowl_at(seed)
            pending: list[Trial] = []
            while len(optimizer.told_values) < 40:
                pending += optimizer.ask(workers - len(pending))
                trial = pending.pop(0)
                optimizer.tell(trial, Evaluation(bowl(trial), 0.0))
            found.append(math.log10(min(optimizer.told_values)))
    assert np.mean(logs[4]) < np.mean(logs[1]) + 1  # measured elsewhere over 80 pairs: -0.02


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 2}, "k: expected an odd integer"),
        ({"eta": 0.0}, "eta: expected a finite number above 0 and below 1"),
        ({"eta": 1}, "eta: expected a finite number above 0 and below 1"),
        ({"refit_every": 0}, "refit_every: expected an integer of at least 1"),
        ({"resolve": "always"}, "resolve: expected one of"),
        ({"max_approximations": 2.5}, "max_approximations: expected an integer of at least 1"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Watched(unit_space(1), **settings)
