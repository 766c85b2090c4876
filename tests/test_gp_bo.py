"""gp_bo: LogEI where EI underflows, batches, and what it must never propose."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from objectives.space import UnitCube, build_space
from objectives.trial import Config, Evaluation, Trial
from optimizers.acquisition import acquisition
from optimizers.gaussian_process import GaussianProcess
from optimizers.gp_bo import GaussianProcessOptimizer

UNIT = {"type": "float", "lower": 0, "upper": 1}
PLANE = {"x": UNIT, "y": UNIT}
MIXED = {
    "kernel": {"type": "categorical", "choices": ["rbf", "poly", "linear"]},
    "degree": {"type": "int", "lower": 2, "upper": 5, "when": {"kernel": "poly"}},
    "gamma": {**UNIT, "lower": 1e-4, "log": True, "when": {"kernel": ["rbf", "poly"]}},
    "n": {"type": "int", "lower": 1, "upper": 300, "log": True},
}
SETTINGS: dict[str, Any] = {
    "n_initial": 5,
    "acquisition": "log_ei",
    "beta": 4.0,
    "noiseless": True,
    "candidates": 64,
    "starts": 2,
}
NO_POINTS = torch.zeros((0, 1), dtype=torch.float64)


def make(parameters: dict[str, Any], seed: int = 0, **changes: Any) -> GaussianProcessOptimizer:
    return GaussianProcessOptimizer(build_space(parameters), seed=seed, **{**SETTINGS, **changes})


def answer(value: float | None) -> Evaluation:
    return Evaluation(value, 0.0, error="failed" if value is None else None)


def run(
    optimizer: GaussianProcessOptimizer,
    objective: Callable[[Config], float | None],
    n: int,
    batch: int = 1,
) -> list[Config]:
    """Return the configurations of at most `n` evaluations."""
    configs: list[Config] = []
    while len(configs) < n:
        trials = optimizer.ask(min(batch, n - len(configs)))
        if not trials:
            break
        for trial in trials:
            optimizer.tell(trial, answer(objective(trial.config)))
            configs.append(trial.config)
    return configs


def sphere(config: Config) -> float:
    return sum((float(value) - 0.3) ** 2 for value in config.values())


def n_different(configs: list[Config]) -> int:
    return len({tuple(sorted(config.items())) for config in configs})


class StandardNormal(GaussianProcess):
    """A posterior with mean -u and variance 1 at u, so that -f improves on 0 by N(u, 1)."""

    def __init__(self) -> None:
        super().__init__(UnitCube(build_space({"x": UNIT})))

    def standardised_posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return -x[..., 0], torch.ones(len(x), 1, 1, dtype=torch.float64)


def improvement(name: str, u: Tensor) -> Tensor:
    worth = acquisition(name, StandardNormal(), best=0.0, beta=4.0, pending=NO_POINTS, seed=0)
    return worth(u[:, None])


@pytest.mark.parametrize(
    ("u", "log_h"),
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
def test_log_ei_is_log_h_and_its_gradient_is_cdf_over_h(u: float, log_h: float) -> None:
    # h(u) = pdf(u) + u cdf(u), h' = cdf; by mpmath's values in shared/algorithms.md
    point = torch.tensor([u], dtype=torch.float64, requires_grad=True)
    value = improvement("log_ei", point)
    (gradient,) = torch.autograd.grad(value.sum(), point)
    assert float(value.detach()) == pytest.approx(log_h, rel=1e-9)
    log_cdf = float(torch.special.log_ndtr(point.detach()))
    assert float(gradient) == pytest.approx(math.exp(log_cdf - log_h), rel=1e-3)


def test_log_ei_is_the_log_of_ei_where_ei_does_not_underflow() -> None:
    u = torch.linspace(-5, 5, 41, dtype=torch.float64)
    assert torch.allclose(improvement("log_ei", u), improvement("ei", u).log(), atol=1e-9)


def test_pi_is_the_probability_and_ucb_two_deviations_above_the_mean() -> None:
    u = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)
    assert torch.allclose(improvement("pi", u), torch.special.ndtr(u))
    assert torch.allclose(improvement("ucb", u), u + 2.0)  # sqrt(beta) = 2


def test_the_start_is_a_latin_hypercube() -> None:
    trials = make(PLANE, n_initial=8).ask(8)
    for name in PLANE:
        strata = [int(8 * float(trial.config[name])) for trial in trials]
        assert sorted(strata) == list(range(8))


def test_it_closes_in_on_the_minimum_of_a_bowl() -> None:
    configs = run(make(PLANE), sphere, 15)
    assert min(map(sphere, configs)) < 1e-3


@pytest.mark.parametrize("name", ["ei", "ucb", "pi"])
def test_the_other_acquisitions_close_in_as_well_alone_and_in_batches(name: str) -> None:
    for batch in (1, 3):
        configs = run(make(PLANE, acquisition=name), sphere, 14, batch)
        assert min(map(sphere, configs)) < 1e-2


def test_a_discrete_space_is_served_once_and_whole() -> None:
    space = {
        "a": {"type": "categorical", "choices": ["x", "y", "z"]},
        "k": {"type": "int", "lower": 1, "upper": 4, "log": True},
        "b": {"type": "ordinal", "choices": [1, 2], "when": {"a": "z"}},
    }
    # 2 * 4 configurations without b, 4 * 2 with it
    configs = run(make(space), lambda config: float(config["k"]), 40)
    assert len(configs) == n_different(configs) == 16


def test_a_minimum_in_a_corner_is_proposed_once() -> None:
    configs = run(make(PLANE), lambda config: float(config["x"]) + float(config["y"]), 16)
    assert n_different(configs) == 16


def test_a_wide_integer_space_is_searched_without_repeats() -> None:
    space = {f"k{axis}": {"type": "int", "lower": 0, "upper": 200} for axis in range(2)}
    configs = run(
        make(space),
        lambda config: sum((float(value) - 60) ** 2 for value in config.values()),
        25,
    )
    assert n_different(configs) == 25
    assert {"k0": 60, "k1": 60} in configs


def test_a_mixed_conditional_space_is_searched_in_batches() -> None:
    def objective(config: Config) -> float:
        offset = {"rbf": 1.0, "poly": 0.0, "linear": 2.0}[str(config["kernel"])]
        width = (math.log10(float(config.get("gamma", 1.0))) + 1) ** 2
        return offset + abs(int(config.get("degree", 7)) - 4) + width

    configs = run(make(MIXED), objective, 24, batch=4)
    assert n_different(configs) == 24
    assert min(map(objective, configs)) < 0.5


def test_a_noisy_objective_may_be_asked_again() -> None:
    optimizer = make({"c": {"type": "constant", "value": 1}}, noiseless=False)
    assert run(optimizer, lambda _: 0.0, 4) == [{"c": 1}] * 4


def test_a_space_of_one_configuration_is_finished_after_it() -> None:
    optimizer = make({"c": {"type": "constant", "value": 1}})
    assert [trial.config for trial in optimizer.ask(3)] == [{"c": 1}]
    assert optimizer.ask(1) == []


def test_forbidden_combinations_are_never_proposed() -> None:
    digit = {"type": "int", "lower": 0, "upper": 4}
    space = build_space({"a": digit, "b": digit}, forbidden=[{"a": 3, "b": 2}])
    optimizer = GaussianProcessOptimizer(space, seed=0, **SETTINGS)
    configs = run(optimizer, lambda c: (float(c["a"]) - 3) ** 2 + (float(c["b"]) - 2) ** 2, 30)
    assert len(configs) == 24
    assert {"a": 3, "b": 2} not in configs


def test_a_batch_has_points_apart_from_each_other() -> None:
    optimizer = make(PLANE)
    run(optimizer, sphere, 10)
    points = np.array([list(trial.config.values()) for trial in optimizer.ask(4)], dtype=float)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)[~np.eye(4, dtype=bool)]
    assert apart.min() > 1e-3


def test_a_batch_equals_single_asks_with_pending_points() -> None:
    one, many = make(PLANE), make(PLANE)
    for optimizer in (one, many):
        run(optimizer, sphere, 8)
    assert many.ask(3) == [one.ask(1)[0] for _ in range(3)]


def test_asks_beyond_the_design_spread_out_while_nothing_is_told() -> None:
    trials = make(PLANE, n_initial=2).ask(20)
    points = np.array([list(trial.config.values()) for trial in trials], dtype=float)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)[~np.eye(20, dtype=bool)]
    assert len(trials) == 20
    assert apart.min() > 0.08  # 20 points on a square lattice of the unit square: 0.22


def test_it_goes_on_when_every_evaluation_fails() -> None:
    assert n_different(run(make(PLANE), lambda _: None, 12, batch=2)) == 12


def test_a_failure_before_any_value_is_not_taken_for_the_best() -> None:
    optimizer = make(PLANE)
    configs = run(optimizer, lambda c: None if float(c["x"]) < 0.5 else 100 + sphere(c), 20)
    assert sum(float(config["x"]) < 0.5 for config in configs[5:]) <= 7  # of 15


def test_a_huge_graded_penalty_does_not_flatten_the_successes() -> None:
    optimizer = make(PLANE)
    best = math.inf
    for _ in range(20):
        (trial,) = optimizer.ask(1)
        if float(trial.config["y"]) > 0.8:
            optimizer.tell(trial, Evaluation(1e12, 0.0, error="out of memory"))
        else:
            optimizer.tell(trial, answer(sphere(trial.config)))
            best = min(best, sphere(trial.config))
    assert best < 1e-3


def test_a_trial_never_asked_can_be_told() -> None:
    optimizer = make(PLANE)
    optimizer.tell(Trial(7, {"x": 0.25, "y": 0.75}), answer(1.0))
    assert optimizer.ask(1)[0].id == 8


def test_asking_for_nothing_changes_nothing() -> None:
    disturbed, plain = make(PLANE), make(PLANE)
    for optimizer in (disturbed, plain):
        run(optimizer, sphere, 7)
    assert disturbed.ask(0) == []
    assert disturbed.ask(2) == plain.ask(2)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("n_initial", 0),
        ("acquisition", "logei"),
        ("beta", -1.0),
        ("noiseless", "yes"),
        ("candidates", 500),
        ("starts", 1.5),
    ],
)
def test_a_bad_setting_is_named_with_its_value(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"gp_bo\.{setting}: expected .*, got {value!r}"):
        GaussianProcessOptimizer(build_space(PLANE), seed=0, **{**SETTINGS, setting: value})
