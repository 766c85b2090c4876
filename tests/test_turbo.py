"""Facts of TuRBO-1: the trust region of Eriksson et al. (2019), and restarts."""

import numpy as np
import pytest

from asking import converse, floats
from objectives.space import UnitCube
from objectives.trial import Evaluation, Trial
from optimizers.turbo import L_MIN, TrustRegion, Turbo


def test_three_successes_in_a_row_double_the_region_up_to_its_largest_side() -> None:
    region = TrustRegion(tau_fail=5)
    for value in (9.0, 8.0, 7.0):
        region.update(value)
    assert region.length == 1.6
    for value in (6.0, 5.0, 4.0):
        region.update(value)
    assert region.length == 1.6  # L_max


def test_failures_in_a_row_halve_the_region_and_a_success_between_them_counts_anew() -> None:
    region = TrustRegion(tau_fail=4, best=1.0)
    for value in (2.0, 2.0, 2.0, 0.5, 2.0, 2.0, None):
        region.update(value)
    assert (region.length, region.n_failures) == (0.8, 3)
    region.update(2.0)
    assert (region.length, region.n_failures) == (0.4, 0)


def test_a_success_improves_by_more_than_a_thousandth_of_the_best_value() -> None:
    region = TrustRegion(tau_fail=9, best=10.0)
    region.update(9.995)
    assert (region.n_successes, region.best) == (0, 9.995)
    region.update(9.98)
    assert region.n_successes == 1


def test_the_region_is_given_up_after_seven_halvings() -> None:
    # 0.8 / 2^6 = 0.0125 and 0.8 / 2^7 = 0.00625; L_min = 2^-7 = 0.0078125
    region = TrustRegion(tau_fail=4, best=0.0)
    for _ in range(4 * 6):
        region.update(1.0)
    assert not region.is_over
    for _ in range(4):
        region.update(1.0)
    assert region.is_over and region.length < L_MIN


def test_candidates_stay_in_the_region_around_the_best_point() -> None:
    space = floats(3)
    cube = UnitCube(space)
    optimizer = Turbo(space, seed=0, n_initial=6)

    def answer(trial: Trial) -> Evaluation:
        return Evaluation(float(np.sum((cube.point(trial.config) - 0.4) ** 2)), 1.0)

    trials = converse(optimizer, answer, 6)
    optimizer._region.length = 1 / 32
    (trial,) = optimizer.ask(1)
    best = min(trials, key=lambda one: answer(one).value or 0.0)
    away = np.abs(cube.point(trial.config) - cube.point(best.config))
    assert optimizer._model is not None
    scales = optimizer._model.covar_module.base_kernel.lengthscale.detach().numpy().ravel()
    weights = scales / np.exp(np.log(scales).mean())  # their product is 1, so the volume is L^d
    assert np.prod(weights) == pytest.approx(1.0)
    assert np.all(away <= weights / 64 + 1e-9) and np.any(away > 0)


def test_a_restart_asks_for_a_fresh_design_and_forgets_the_old_region() -> None:
    space = floats(2)
    optimizer = Turbo(space, seed=0, n_initial=3)
    worsening = converse(optimizer, lambda trial: Evaluation(float(trial.id), 1.0), 3)
    optimizer._region.length = 1.5 * L_MIN
    optimizer._region.n_failures = 3  # one more failure halves it
    converse(optimizer, lambda trial: Evaluation(99.0, 1.0), 1)
    assert optimizer._region.length == 0.8 and not np.isfinite(optimizer._region.best)
    assert optimizer._in_design()
    assert len(worsening) == 3
