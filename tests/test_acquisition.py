"""The acquisition functions: values worked by hand, extremes of a double, and slopes."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from objectives.space import UnitCube, build_space
from optimizers.acquisition import NAMES, Acquisition, log_h
from optimizers.gaussian_process import GaussianProcess
from optimizers.slopes import Slopes

UNIT = {"type": "float", "lower": 0, "upper": 1}
PLANE = {"x": UNIT, "y": UNIT}
Floats = NDArray[np.float64]


class Normal(GaussianProcess):
    """A posterior with mean -x and deviation `sd` at x, so that -f improves on 0 by N(x, sd^2)."""

    def __init__(self, sd: float = 1.0) -> None:
        super().__init__(UnitCube(build_space({"x": UNIT})))
        self.sd = sd

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        return -x[:, 0], np.full(len(x), self.sd**2)

    def slopes(self, x: Floats) -> Slopes:
        return Slopes(*self.at(x), np.full_like(x, -1.0), np.zeros_like(x))


def improvement(name: str, u: Floats, sd: float = 1.0) -> Floats:
    return Acquisition(name, Normal(sd), best=0.0, beta=4.0).at(u[:, None])


@pytest.mark.parametrize(
    ("u", "log"),
    [
        (3.0, 1.09873966533),
        (0.0, -0.918938533205),
        (-1.0, -2.48512102571),
        (-5.0, -16.7443011627),
        (-10.0, -55.5531220361),
        (-37.0, -692.642960163),
        (-100.0, -5010.1295788),
        (-1e4, -50000019.3396),
    ],
)
def test_log_ei_is_log_h_and_its_gradient_is_cdf_over_h(u: float, log: float) -> None:
    # h(u) = pdf(u) + u cdf(u), h' = cdf; by mpmath's values in shared/algorithms.md
    value, gradient = Acquisition("log_ei", Normal(), best=0.0).slopes(np.array([[u]]))
    assert value[0] == pytest.approx(log, rel=1e-9)
    assert gradient[0, 0] == pytest.approx(math.exp(log_ndtr(u) - log), rel=1e-3)


def test_log_ei_is_the_log_of_ei_where_ei_does_not_underflow() -> None:
    u = np.linspace(-5, 5, 41)
    for sd in (0.1, 1.0, 3.0):
        ei = improvement("ei", u * sd, sd)
        assert np.allclose(improvement("log_ei", u * sd, sd), np.log(ei), atol=1e-9)


def test_log_ei_and_its_slope_are_finite_wherever_a_double_is() -> None:
    value, slope = log_h(np.array([-1e150, -1e8, -1001.0, -999.0, 1e8]))
    assert np.isfinite(value).all() and np.isfinite(slope).all()
    assert slope[2] == pytest.approx(1001, rel=1e-4) and slope[3] == pytest.approx(999, rel=1e-4)


def test_pi_is_the_probability_and_ucb_two_deviations_above_the_mean() -> None:
    u = np.array([-1.0, 0.0, 2.0])
    assert np.allclose(improvement("pi", u), ndtr(u))
    assert np.allclose(improvement("ucb", u), u + 2.0)  # sqrt(beta) = 2
    assert np.allclose(improvement("mean", u), u)


@pytest.mark.parametrize("name", [*NAMES, "mean"])
def test_the_slopes_of_an_acquisition_are_those_of_finite_differences(name: str) -> None:
    rng = np.random.default_rng(0)
    u = rng.random((12, 2))
    gp = GaussianProcess(UnitCube(build_space(PLANE)))
    gp.fit(u, np.sin(4 * u[:, 0]) + u[:, 1] ** 2, refit=True)
    worth = Acquisition(name, gp, best=float(gp.z.min()))
    x = rng.random((6, 2))
    value, slopes = worth.slopes(x)
    assert np.allclose(value, worth.at(x))
    for axis in range(2):
        step = np.zeros_like(x)
        step[:, axis] = 1e-6
        around = (worth.at(x + step) - worth.at(x - step)) / 2e-6
        assert np.allclose(slopes[:, axis], around, rtol=1e-3, atol=1e-4)
