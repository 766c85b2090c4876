"""The Gaussian process and values of any size: warps, scales, cliffs, and many data."""

from typing import Any

import numpy as np
import pytest

from fitted_gp import bowl, fitted, floats
from optimizers.gaussian_process import GaussianProcess
from optimizers.hyperparameters import MANY
from optimizers.warp import CAP, OFFSETS, Scale, Warp


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([3.0], id="one point"),
        pytest.param([2.0] * 12, id="all equal"),
        pytest.param([0.0] * 12, id="all zero"),
        pytest.param([1e300, -1e300] + [0.0] * 10, id="huge range"),
        pytest.param([1e-300 * k for k in range(12)], id="tiny range"),
        pytest.param([1e9 + 1e-3 * k for k in range(12)], id="large offset"),
        pytest.param([0.0] * 11 + [1e12], id="outlier"),
    ],
)
def test_the_posterior_is_finite_whatever_the_values(values: list[float]) -> None:
    u = np.random.default_rng(0).random((len(values), 3))
    gp = GaussianProcess(floats(3))
    gp.fit(u, np.array(values), refit=True)
    mean, deviation = gp.posterior(np.concatenate([u, np.full((1, 3), 0.5)]))
    assert np.isfinite(gp.natural(mean)).all()
    assert np.isfinite(deviation).all() and (deviation >= 0).all()


def test_contradictory_duplicates_are_averaged() -> None:
    gp = GaussianProcess(floats(2), warps=(None,))
    gp.fit(np.full((20, 2), 0.3), np.array([1.0, 3.0] * 10), refit=True)
    mean, _ = gp.posterior(np.full((1, 2), 0.3))
    assert gp.natural(mean)[0] == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_warp_and_its_jacobian_fit_together(offset: float | None) -> None:
    t = np.array([0.0, 0.3, 1.0, 4.0, 100.0])
    warp = Warp.of(t, offset)
    z = warp.standardised(t)
    assert z.mean() == pytest.approx(0, abs=1e-12) and z.std() == pytest.approx(1)
    assert np.allclose(warp.relative(z), t)
    slopes = (warp.standardised(t + 1e-6) - warp.standardised(t - 1e-6)) / 2e-6
    assert warp.log_jacobian(t) == pytest.approx(np.log(slopes).sum(), abs=1e-5)


@pytest.mark.parametrize(
    ("shape", "offset"),
    [
        pytest.param(lambda x: x, None, id="the values are smooth as they are"),
        pytest.param(lambda x: np.exp(6 * x), 0.1, id="their logarithms are"),
    ],
)
def test_the_likelihood_chooses_the_warp_that_makes_the_values_smooth(
    shape: Any, offset: float | None
) -> None:
    u = np.random.default_rng(0).random((40, 2))
    gp = GaussianProcess(floats(2))
    gp.fit(u, shape(np.sin(5 * u[:, 0]) + u[:, 1]), refit=True)
    assert gp._learned.offset == offset


@pytest.mark.parametrize("factor", [1e-300, 1e-3, 1.0, 1e300])
def test_the_unit_of_the_values_does_not_matter(factor: float) -> None:
    (gp, u), scaled = fitted(), GaussianProcess(floats(3))
    scaled.fit(u, factor * bowl(u), refit=True)
    assert np.allclose(scaled.z, gp.z, atol=1e-6)


def test_a_spread_of_1e_12_of_the_values_is_seen() -> None:
    u = np.random.default_rng(1).random((25, 3))
    gp = GaussianProcess(floats(3))
    gp.fit(u, 1e9 + 1e-3 * bowl(u), refit=True)
    assert np.corrcoef(gp.z, fitted()[0].z)[0, 1] > 0.999


@pytest.mark.parametrize("cliff", [22.0, 1e9, 1e300, 1.7e308])
def test_one_cliff_hides_no_difference_between_the_other_values(cliff: float) -> None:
    u = np.random.default_rng(1).random((25, 3))
    y = 2 + 0.01 * bowl(u)
    gp = GaussianProcess(floats(3))
    gp.fit(u, np.where(np.arange(25) == 7, cliff, y), refit=True)
    others = np.delete(gp.z, 7)
    assert np.ptp(others) > 0.1 * np.ptp(gp.z)
    assert gp.z.argmin() == y.argmin()


@pytest.mark.parametrize("largest", [1e300, 1.7e308, np.finfo(float).max])
def test_values_of_both_signs_up_to_the_largest_double_have_a_scale(largest: float) -> None:
    y = largest * np.array([-1.0, -0.5, 0.0, 1.0])
    scale = Scale.of(y)
    t = scale.relative(y)
    assert np.allclose(t, np.array([0.0, 0.5, 1.0, 2.0]) / 0.75)  # the median is at -1/4
    assert np.allclose(scale.natural(t) / largest, y / largest)


def test_values_that_are_mostly_the_least_one_have_a_scale() -> None:
    t = Scale.of(np.array([5.0] * 9 + [15.0])).relative(np.array([5.0, 15.0]))
    assert t.tolist() == [0.0, 10.0]  # by the mean, 1 above the least
    assert CAP == 100.0


def test_beyond_many_data_the_posterior_still_knows_all_of_them() -> None:
    u = np.random.default_rng(1).random((MANY + 60, 2))
    gp = GaussianProcess(floats(2))
    gp.fit(u, bowl(u), refit=True)
    mean, _ = gp.posterior(u)
    assert len(gp.z) == MANY + 60
    assert np.abs(gp.natural(mean) - bowl(u)).max() < 1e-2
