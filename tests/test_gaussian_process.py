"""The Gaussian process of gp_bo and bamsoo, compared with BoTorch's, and its edge cases."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from botorch.models import SingleTaskGP
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import MaternKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import ConstantMean
from gpytorch.priors import GammaPrior, LogNormalPrior
from numpy.typing import NDArray

from objectives.space import UnitCube, build_space
from optimizers.gaussian_process import MANY, GaussianProcess
from optimizers.kernel import default, log_prior, negative_log_posterior
from optimizers.warp import CAP, OFFSETS, Scale, Warp

Floats = NDArray[np.float64]
UNIT = {"type": "float", "lower": 0, "upper": 1}


def cube_of(**parameters: dict[str, Any]) -> UnitCube:
    return UnitCube(build_space(parameters))


def floats(dim: int) -> UnitCube:
    return cube_of(**{f"x{axis}": UNIT for axis in range(dim)})


def bowl(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(5 + np.sum((u - 0.3) ** 2, axis=1))


def fitted(dim: int = 3, n: int = 25) -> tuple[GaussianProcess, NDArray[np.float64]]:
    u = np.random.default_rng(1).random((n, dim))
    gp = GaussianProcess(floats(dim))
    gp.fit(u, bowl(u), refit=True)
    return gp, u


def test_the_posterior_interpolates_a_smooth_function() -> None:
    gp, u = fitted()
    mean, deviation = gp.posterior(u)
    assert np.abs(gp.natural(mean) - bowl(u)).max() < 1e-3  # the values range over about 1
    assert deviation.max() < 1e-2


def test_the_posterior_predicts_a_smooth_function_between_the_data() -> None:
    gp, _ = fitted(n=40)
    new = np.random.default_rng(2).random((50, 3))
    mean, deviation = gp.posterior(new)
    assert np.abs(gp.natural(mean) - bowl(new)).max() < 0.05
    within = (gp.natural(mean - 3 * deviation) <= bowl(new)) & (
        bowl(new) <= gp.natural(mean + 3 * deviation)
    )
    assert np.mean(within) > 0.9


def kernel_of(gp: GaussianProcess, dim: int) -> Any:
    """Return GPyTorch's kernel with the hyperparameters of a model of `dim` float axes."""
    values = np.exp(gp.theta)
    matern = ScaleKernel(MaternKernel(2.5, ard_num_dims=dim)).double()
    matern.base_kernel.lengthscale = torch.tensor(values[:dim])
    matern.outputscale = values[dim]

    def covariance(x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
        t1, t2 = 2 * x1 - 1, 2 * x2 - 1
        linear = 3 * t1 @ t2.T / dim  # features sqrt(3) t
        quadratic = (t1**2 - 1 / 3) @ (t2**2 - 1 / 3).T * 45 / 4 / dim
        dense: torch.Tensor = matern(x1, x2).to_dense() + values[dim + 1] * linear
        dense += values[dim + 2] * quadratic
        return dense

    return covariance


def test_the_posterior_is_that_of_the_textbook_at_the_same_hyperparameters() -> None:
    gp, u = fitted()
    covariance, noise = kernel_of(gp, 3), math.exp(gp.theta[-1])
    x, new = torch.from_numpy(u), np.random.default_rng(2).random((20, 3))
    with torch.no_grad():
        matrix = (covariance(x, x) + noise * torch.eye(len(u), dtype=torch.float64)).numpy()
        cross = covariance(torch.from_numpy(new), x).numpy()
        own = covariance(torch.from_numpy(new), torch.from_numpy(new)).diagonal().numpy()
    mean, deviation = gp.posterior(new)
    expected = gp.m + cross @ np.linalg.solve(matrix, gp.z - gp.m)
    variance = own - np.einsum("ij,ji->i", cross, np.linalg.solve(matrix, cross.T))
    assert np.allclose(mean, expected, atol=1e-6)
    assert np.allclose(deviation, np.sqrt(np.maximum(variance, 0)), atol=1e-4)
    ones = np.linalg.solve(matrix, np.ones(len(u)))
    assert gp.m == pytest.approx(ones @ gp.z / ones.sum(), abs=1e-8)  # generalised least squares


def test_without_main_effects_the_posterior_is_that_of_botorch() -> None:
    gp, u = fitted()
    gp.theta[4:6] = -50.0  # the logarithms of v1 and v2
    gp._condition(gp._inputs(u))
    values = np.exp(gp.theta)
    kernel = ScaleKernel(MaternKernel(2.5, ard_num_dims=3)).double()
    kernel.base_kernel.lengthscale = torch.tensor(values[:3])
    kernel.outputscale = values[3]
    mean_module = ConstantMean().double()
    mean_module.initialize(constant=torch.tensor(gp.m))
    likelihood = GaussianLikelihood(noise_constraint=GreaterThan(1e-9)).double()
    likelihood.noise = values[-1]
    model = SingleTaskGP(
        torch.from_numpy(u),
        torch.from_numpy(gp.z)[:, None],
        likelihood=likelihood,
        covar_module=kernel,
        mean_module=mean_module,
        outcome_transform=None,
    )
    new = np.random.default_rng(2).random((20, 3))
    with torch.no_grad():
        theirs = model.posterior(torch.from_numpy(new))
    mean, deviation = gp.posterior(new)
    assert np.allclose(mean, theirs.mean[:, 0], atol=1e-6)
    assert np.allclose(deviation, theirs.variance[:, 0].sqrt(), atol=1e-5)


def test_the_priors_are_those_of_the_docstring() -> None:
    theta = np.array([0.1, -0.4, 0.9, 0.3, -2.0, -1.0, -6.0])
    values = torch.tensor(np.exp(theta))
    lengths = LogNormalPrior(math.sqrt(2) + math.log(3) / 2, math.sqrt(3)).log_prob(values[:3])
    # Those of v1 and v2 are densities of the logarithm.
    effects = -0.5 * ((theta[4:6] - math.log(0.25)) / 1.5) ** 2
    whole = lengths.sum() + GammaPrior(2.0, 0.15).log_prob(values[3])
    whole = float(whole + GammaPrior(1.1, 30.0).log_prob(values[6])) + effects.sum()
    other = default(3)
    other_values = torch.tensor(np.exp(other))
    lengths = LogNormalPrior(math.sqrt(2) + math.log(3) / 2, math.sqrt(3)).log_prob(
        other_values[:3]
    )
    at_default = float(lengths.sum() + GammaPrior(2.0, 0.15).log_prob(other_values[3]))
    at_default += float(GammaPrior(1.1, 30.0).log_prob(other_values[6]))
    difference = log_prior(theta)[0] - log_prior(other)[0]
    assert difference == pytest.approx(whole - at_default, abs=1e-5)  # constants cancel


@pytest.mark.parametrize("dim", [1, 3, 40])
def test_the_gradient_of_the_likelihood_is_that_of_finite_differences(dim: int) -> None:
    rng = np.random.default_rng(dim)
    gp = GaussianProcess(floats(dim))
    u = rng.random((25, dim))
    inputs, z = gp._inputs(gp.features.of(u)), rng.standard_normal(25)
    theta = default(dim) + 0.3 * rng.standard_normal(dim + 4)

    def loss(theta: Floats) -> tuple[float, Floats]:
        return negative_log_posterior(theta, inputs, z, gp.features.axis_of)

    _, gradient = loss(theta)
    for axis in range(len(theta)):
        step = np.zeros_like(theta)
        step[axis] = 1e-4
        above, below = loss(theta + step)[0], loss(theta - step)[0]
        assert gradient[axis] == pytest.approx((above - below) / 2e-4, rel=1e-3, abs=1e-3)


def test_the_slopes_of_the_posterior_are_those_of_finite_differences() -> None:
    cube = cube_of(x=UNIT, kind={"type": "categorical", "choices": ["a", "b", "c"]}, y=UNIT, z=UNIT)
    gp, rng = GaussianProcess(cube), np.random.default_rng(0)
    u = rng.random((20, 4))
    gp.fit(u, bowl(u), refit=True)
    gp.pend(rng.random((3, 4)))
    x = gp.features.of(rng.random((5, 4)))
    slopes = gp.slopes(x)
    mean, variance = gp.at(x)
    assert np.allclose(slopes.mean, mean) and np.allclose(slopes.variance, variance)
    for place, column in enumerate(gp.features.numeric):
        step = np.zeros_like(x)
        step[:, column] = 1e-5
        (m1, v1), (m2, v2) = gp.at(x + step), gp.at(x - step)
        assert np.allclose(slopes.d_mean[:, place], (m1 - m2) / 2e-5, atol=1e-5)
        assert np.allclose(slopes.d_variance[:, place], (v1 - v2) / 2e-5, atol=1e-5)


def test_pending_points_shrink_the_variance_about_them_and_leave_the_mean() -> None:
    gp, _ = fitted(n=8)
    new = np.random.default_rng(2).random((20, 3))
    mean, before = gp.posterior(new)
    gp.pend(new[:2])
    same, after = gp.posterior(new)
    assert np.array_equal(mean, same)
    assert (after <= before + 1e-9).all() and (after[:2] < 0.5 * before[:2]).all()
    gp.pend(new[:0])
    assert np.allclose(gp.posterior(new)[1], before, atol=1e-9)


def test_an_axis_that_does_nothing_gets_a_long_length_scale() -> None:
    u = np.random.default_rng(3).random((40, 2))
    y = np.sin(12 * u[:, 0])  # the second axis has no effect
    gp = GaussianProcess(floats(2))
    gp.fit(u, y, refit=True)
    scales = np.exp(gp.theta)[:2]
    assert scales[1] > 5 * scales[0]


def test_the_posterior_is_constant_over_one_integers_share() -> None:
    cube = cube_of(k={"type": "int", "lower": 1, "upper": 4}, x=UNIT)
    gp = GaussianProcess(cube)
    u = np.random.default_rng(0).random((15, 2))
    gp.fit(u, bowl(u), refit=True)
    mean, deviation = gp.posterior(np.array([[0.26, 0.4], [0.49, 0.4], [0.51, 0.4]]))
    assert mean[0] == pytest.approx(mean[1], abs=1e-9)  # the shares end at 1/4, 1/2 and 3/4
    assert abs(mean[0] - mean[2]) > 1e-3
    assert deviation[0] == pytest.approx(deviation[1], abs=1e-9)


def test_an_inactive_parameter_does_not_move_the_posterior() -> None:
    cube = cube_of(
        kind={"type": "categorical", "choices": ["a", "b"]},
        x={**UNIT, "when": {"kind": "a"}},
    )
    gp = GaussianProcess(cube)
    u = np.random.default_rng(0).random((12, 2))
    gp.fit(u, bowl(u), refit=True)
    mean, _ = gp.posterior(np.array([[0.75, 0.1], [0.75, 0.9]]))
    assert mean[0] == pytest.approx(mean[1], abs=1e-9)


def test_the_order_of_choices_does_not_matter() -> None:
    means = []
    rng = np.random.default_rng(0)
    drawn, x, new = rng.integers(3, size=14), rng.random(14), rng.random(3)
    for order in ("abc", "cab"):
        cube = cube_of(kind={"type": "categorical", "choices": list(order)}, x=UNIT)
        u = np.array(
            [cube.point({"kind": "abc"[k], "x": v}) for k, v in zip(drawn, x, strict=True)]
        )
        gp = GaussianProcess(cube)
        gp.fit(u, 10.0 * (drawn == 1) + x, refit=True)
        points = [cube.point({"kind": kind, "x": v}) for kind in "abc" for v in new.tolist()]
        means.append(gp.natural(gp.posterior(np.array(points))[0]))
    assert np.allclose(means[0], means[1], atol=0.02)  # the values range over 11


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


def test_a_space_of_one_configuration_has_a_posterior() -> None:
    gp = GaussianProcess(cube_of(c={"type": "constant", "value": 1}))
    gp.fit(np.array([[0.5]]), np.array([7.0]), refit=True)
    assert gp.natural(gp.posterior(np.array([[0.5]]))[0])[0] == pytest.approx(7.0)


def test_conditioning_alone_keeps_the_hyperparameters_and_takes_in_the_data() -> None:
    u = np.random.default_rng(1).random((25, 3))
    y = np.sin(6 * u).sum(axis=1)
    gp, middle = GaussianProcess(floats(3)), np.full((1, 3), 0.5)
    gp.fit(u, y, refit=True)
    before, guess = gp.theta.copy(), gp.natural(gp.posterior(middle)[0])[0]
    gp.fit(np.concatenate([u, middle]), np.append(y, guess + 0.5), refit=False)
    assert np.array_equal(gp.theta, before)
    assert gp.natural(gp.posterior(middle)[0])[0] == pytest.approx(guess + 0.5, abs=0.1)


def test_the_first_fit_learns_even_if_not_asked_to() -> None:
    u = np.random.default_rng(1).random((25, 3))
    asked, not_asked = GaussianProcess(floats(3)), GaussianProcess(floats(3))
    asked.fit(u, bowl(u), refit=True)
    not_asked.fit(u, bowl(u), refit=False)
    assert np.array_equal(asked.theta, not_asked.theta)


def test_the_last_hyperparameters_stay_where_the_optimiser_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gp, u = GaussianProcess(floats(3), warps=(None,)), fitted()[1]
    gp.fit(u, bowl(u), refit=True)
    before = gp.theta.copy()
    failure = SimpleNamespace(x=np.full(7, math.nan), fun=math.nan)
    monkeypatch.setattr(scipy.optimize, "minimize", lambda *_, **__: failure)
    gp.fit(u, bowl(u) ** 3, refit=True)
    assert np.array_equal(gp.theta, before)


def test_the_same_calls_give_the_same_answers_bit_by_bit() -> None:
    (first, u), (second, _) = fitted(), fitted()
    assert np.array_equal(first.posterior(u[:5] / 2), second.posterior(u[:5] / 2))


def test_the_number_of_torch_threads_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    fitted()
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert after == 2


@pytest.mark.parametrize(
    ("n", "values", "message"),
    [
        (0, [], "expected n >= 1"),
        (2, [1.0], "as many values"),
        (2, [1.0, math.nan], "expected finite values"),
    ],
)
def test_a_fit_to_unusable_data_says_what_is_wrong(
    n: int, values: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianProcess(floats(2)).fit(np.zeros((n, 2)), np.array(values), refit=True)


def test_a_posterior_before_a_fit_is_refused() -> None:
    with pytest.raises(RuntimeError, match="expected a fit"):
        GaussianProcess(floats(2)).posterior(np.zeros((1, 2)))


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
    assert gp._offset == offset


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
