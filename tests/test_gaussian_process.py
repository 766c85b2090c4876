"""The Gaussian process of gp_bo and bamsoo, against BoTorch's and at its edges."""

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
from numpy.typing import NDArray

from objectives.space import UnitCube, build_space
from optimizers.gaussian_process import GaussianProcess

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
    assert np.abs(mean - bowl(u)).max() < 1e-3  # the values range over about 1
    assert deviation.max() < 1e-2


def test_the_posterior_predicts_a_smooth_function_between_the_data() -> None:
    gp, _ = fitted(n=40)
    new = np.random.default_rng(2).random((50, 3))
    mean, deviation = gp.posterior(new)
    assert np.abs(mean - bowl(new)).max() < 0.05
    assert np.mean(np.abs(mean - bowl(new)) <= 3 * deviation) > 0.9


def test_the_posterior_is_that_of_botorch_at_the_same_hyperparameters() -> None:
    gp, u = fitted()
    values = gp.theta.exp()
    kernel = ScaleKernel(MaternKernel(2.5, ard_num_dims=3)).double()
    kernel.base_kernel.lengthscale = values[:3]
    kernel.outputscale = values[3]
    mean_module = ConstantMean().double()
    mean_module.initialize(constant=gp.m)
    likelihood = GaussianLikelihood(noise_constraint=GreaterThan(1e-9)).double()
    likelihood.noise = values[4]
    targets = (bowl(u) - bowl(u).mean()) / bowl(u).std()
    model = SingleTaskGP(
        torch.from_numpy(u),
        torch.from_numpy(targets)[:, None],
        likelihood=likelihood,
        covar_module=kernel,
        mean_module=mean_module,
        outcome_transform=None,
    )
    new = np.random.default_rng(2).random((20, 3))
    with torch.no_grad():
        theirs = model.posterior(torch.from_numpy(new))
    mean, deviation = gp.posterior(new)
    assert np.allclose((mean - bowl(u).mean()) / bowl(u).std(), theirs.mean[:, 0], atol=1e-6)
    assert np.allclose(deviation / bowl(u).std(), theirs.variance[:, 0].sqrt(), atol=1e-5)


def test_an_axis_that_does_nothing_gets_a_long_length_scale() -> None:
    u = np.random.default_rng(3).random((40, 2))
    y = np.sin(12 * u[:, 0])  # the second axis does nothing
    gp = GaussianProcess(floats(2))
    gp.fit(u, y, refit=True)
    scales = gp.theta.exp()[:2]
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
        means.append(gp.posterior(np.array(points))[0])
    assert np.allclose(means[0], means[1], atol=1e-3)


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
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all() and (deviation >= 0).all()


def test_contradictory_duplicates_are_averaged() -> None:
    gp = GaussianProcess(floats(2))
    gp.fit(np.full((20, 2), 0.3), np.array([1.0, 3.0] * 10), refit=True)
    mean, _ = gp.posterior(np.full((1, 2), 0.3))
    assert mean[0] == pytest.approx(2.0, abs=0.01)


def test_a_space_of_one_configuration_has_a_posterior() -> None:
    gp = GaussianProcess(cube_of(c={"type": "constant", "value": 1}))
    gp.fit(np.array([[0.5]]), np.array([7.0]), refit=True)
    assert gp.posterior(np.array([[0.5]]))[0][0] == pytest.approx(7.0)


def test_conditioning_alone_keeps_the_hyperparameters_and_takes_in_the_data() -> None:
    gp, u = fitted()
    before = gp.theta.clone()
    more = np.concatenate([u, np.full((1, 3), 0.5)])
    gp.fit(more, np.append(bowl(u), 6.0), refit=False)
    assert torch.equal(gp.theta, before)
    assert gp.posterior(np.full((1, 3), 0.5))[0][0] == pytest.approx(6.0, abs=0.05)


def test_the_first_fit_learns_even_if_not_asked_to() -> None:
    u = np.random.default_rng(1).random((25, 3))
    asked, not_asked = GaussianProcess(floats(3)), GaussianProcess(floats(3))
    asked.fit(u, bowl(u), refit=True)
    not_asked.fit(u, bowl(u), refit=False)
    assert torch.equal(asked.theta, not_asked.theta)


def test_the_last_hyperparameters_stay_where_the_optimiser_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gp, u = fitted()
    before = gp.theta.clone()
    failure = SimpleNamespace(x=np.full(5, math.nan), fun=math.nan)
    monkeypatch.setattr(scipy.optimize, "minimize", lambda *_, **__: failure)
    gp.fit(u, bowl(u) ** 3, refit=True)
    assert torch.equal(gp.theta, before)


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
