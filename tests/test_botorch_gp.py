"""botorch: the default method, batches, and robustness."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood

from objectives.space import build_space
from objectives.trial import Config, Evaluation
from optimizers.botorch_gp import BoTorchGP

UNIT = {"type": "float", "lower": 0, "upper": 1}
PLANE = {"x": UNIT, "y": UNIT}
SETTINGS = {"n_initial": 5, "num_restarts": 2, "raw_samples": 32}


def make(parameters: dict[str, Any] = PLANE, seed: int = 0, **changes: int) -> BoTorchGP:
    return BoTorchGP(build_space(parameters), seed=seed, **{**SETTINGS, **changes})


def answer(value: float | None) -> Evaluation:
    return Evaluation(value, 0.0, error="failed" if value is None else None)


def sphere(config: Config) -> float:
    return sum((float(value) - 0.3) ** 2 for value in config.values())


def run(optimizer: BoTorchGP, objective: Callable[[Config], float | None], n: int) -> list[Config]:
    configs = []
    for _ in range(n):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, answer(objective(trial.config)))
        configs.append(trial.config)
    return configs


def test_the_model_is_single_task_gp_as_it_comes_of_the_negative_values() -> None:
    optimizer = make()
    configs = run(optimizer, sphere, 8)
    ours = optimizer._acquisition(0).model
    x = torch.tensor([[config["x"], config["y"]] for config in configs], dtype=torch.float64)
    y = -torch.tensor([sphere(config) for config in configs], dtype=torch.float64)[:, None]
    theirs = SingleTaskGP(x, y)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(theirs.likelihood, theirs))
    new = torch.rand(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = sorted(map(sphere, configs))
    unit = float(np.median(values)) - values[0]  # the model's targets are -(y - min) / unit
    mean = ours.posterior(new).mean * unit - values[0]
    assert torch.allclose(mean, theirs.posterior(new).mean, atol=1e-5)


def test_it_asks_by_log_ei_and_in_a_batch_by_q_log_ei_with_what_is_pending() -> None:
    optimizer = make()
    run(optimizer, sphere, 6)
    alone = optimizer._acquisition(0)
    assert isinstance(alone, LogExpectedImprovement)
    assert float(alone.best_f) == 0.0  # the least value is shifted there
    (trial,) = optimizer.ask(1)
    joint = optimizer._acquisition(0)
    assert isinstance(joint, qLogExpectedImprovement)
    assert joint.X_pending.tolist() == [[trial.config["x"], trial.config["y"]]]


def test_it_closes_in_on_the_minimum_of_a_bowl() -> None:
    assert min(map(sphere, run(make(), sphere, 15))) < 1e-2


def test_a_batch_equals_single_asks_with_pending_points_and_is_spread() -> None:
    one, many = make(), make()
    for optimizer in (one, many):
        run(optimizer, sphere, 6)
    trials = many.ask(3)
    assert trials == [one.ask(1)[0] for _ in range(3)]
    points = np.array([list(trial.config.values()) for trial in trials], dtype=float)
    assert np.linalg.norm(points[:, None] - points[None], axis=-1)[~np.eye(3, dtype=bool)].min() > 0


def test_a_finite_space_is_seen_whole_before_anything_is_repeated() -> None:
    space = {
        "n": {"type": "int", "lower": 1, "upper": 4},
        "kind": {"type": "ordinal", "choices": [1, 2]},
    }
    configs = run(make(space), sphere, 8)
    assert len({tuple(config.items()) for config in configs}) == 8


@pytest.mark.parametrize("cliff", [22.0, 1e9, 1e300])
def test_one_cliff_does_not_hide_the_other_values(cliff: float) -> None:
    optimizer = make(n_initial=16)
    for n in range(16):
        (trial,) = optimizer.ask(1)
        value = 2 + 0.01 * sphere(trial.config)
        optimizer.tell(trial, answer(cliff if n == 2 else value))
    new = np.random.default_rng(0).random((40, 2))
    posterior = optimizer._acquisition(0).model.posterior(torch.from_numpy(new))
    mean = posterior.mean[:, 0].detach().numpy()
    assert np.corrcoef(mean, -((new - 0.3) ** 2).sum(axis=1))[0, 1] > 0.5


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(lambda v, n: 1e300 if n == 3 else v, id="one cliff of 1e300"),
        pytest.param(lambda v, n: 1.7e308 * (2 * v - 1), id="up to 1.7e308, of both signs"),
        pytest.param(lambda v, n: 1e-300 * v, id="near 1e-300"),
        pytest.param(lambda v, n: 1e9 + 1e-3 * v, id="a relative spread of 1e-12"),
        pytest.param(lambda v, n: 7.0, id="all equal"),
        pytest.param(lambda v, n: None if n != 4 else v, id="one success among failures"),
    ],
)
def test_values_of_any_size_are_survived(told: Callable[[float, int], float | None]) -> None:
    optimizer = make()
    for _ in range(9):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, answer(told(sphere(trial.config), trial.id)))
        assert all(math.isfinite(float(value)) for value in trial.config.values())


@pytest.mark.parametrize("setting", ["n_initial", "num_restarts", "raw_samples"])
@pytest.mark.parametrize("value", [0, True, 2.5])
def test_a_bad_setting_is_named_with_its_value(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"botorch\.{setting}: expected .*, got {value!r}"):
        make(**{setting: value})
