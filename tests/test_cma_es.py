"""Facts of CMA-ES."""

import statistics
from typing import Any

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace

from objectives.space import UnitCube, build_space
from objectives.trial import Config, Evaluation, Trial
from optimizers.cma_es import CmaEs


def _box(dim: int) -> ConfigurationSpace:
    return build_space(
        {f"x{axis}": {"type": "float", "lower": -5, "upper": 5} for axis in range(dim)}
    )


def _make(space: ConfigurationSpace, seed: int = 0, population_size: int | None = None) -> CmaEs:
    return CmaEs(space, seed=seed, sigma0=0.3, population_size=population_size, restart_factor=2)


def _evaluated(value: float) -> Evaluation:
    return Evaluation(value, cost=1.0)


@pytest.mark.parametrize(
    # 4 + floor(3 ln d): 3 ln 2 = 2.08, 3 ln 5 = 4.83, 3 ln 10 = 6.9, 3 ln 20 = 8.99
    ("dim", "population_size"),
    [(1, 4), (2, 6), (5, 8), (10, 10), (20, 12)],
)
def test_the_population_is_four_and_the_whole_part_of_three_times_the_logarithm_of_d(
    dim: int, population_size: int
) -> None:
    assert len(_make(_box(dim)).ask(1000)) == population_size


def test_constants_do_not_count_as_dimensions() -> None:
    axes = {f"c{i}": {"type": "constant", "value": i} for i in range(8)}
    x = {"type": "float", "lower": 0, "upper": 1}
    space = build_space({**axes, "x": x, "y": x})
    assert len(_make(space).ask(1000)) == 6


def test_the_next_generation_waits_for_the_last_tell_of_this_one() -> None:
    optimizer = _make(_box(2))
    trials = [optimizer.ask(1)[0] for _ in range(6)]
    for trial in reversed(trials):
        assert optimizer.ask(1) == []
        optimizer.tell(trial, _evaluated(float(trial.id)))
    assert [trial.id for trial in optimizer.ask(9)] == [6, 7, 8, 9, 10, 11]


def test_the_order_of_tells_does_not_matter() -> None:
    first, second = _make(_box(3)), _make(_box(3))
    trials = first.ask(99)
    assert second.ask(99) == trials
    for trial in trials:
        first.tell(trial, _evaluated(float(trial.id)))
    for trial in reversed(trials):
        second.tell(trial, _evaluated(float(trial.id)))
    assert first.ask(99) == second.ask(99)


def test_a_failure_counts_as_the_worst_of_its_generation() -> None:
    failed, worst = _make(_box(3)), _make(_box(3))
    for trial in failed.ask(99):
        evaluation = Evaluation(None, cost=1.0, error="failed")
        failed.tell(trial, evaluation if trial.id == 2 else _evaluated(float(trial.id)))
    for trial in worst.ask(99):
        worst.tell(trial, _evaluated(6.0 if trial.id == 2 else float(trial.id)))
    assert failed.ask(99) == worst.ask(99)


def _run(optimizer: CmaEs, target: float, limit: int) -> int:
    """Return the evaluations that the sphere in [-5, 5]^d takes to the target."""
    for n_evaluations in range(1, limit + 1):
        (trial,) = optimizer.ask(1)
        distances = [float(x) - 1.3 for x in trial.config.values()]
        value = sum(distance**2 for distance in distances)
        if value < target:
            return n_evaluations
        optimizer.tell(trial, _evaluated(value))
    return limit


def test_the_sphere_in_five_dimensions_takes_the_published_number_of_evaluations() -> None:
    # BBOB f1 to 1e-8: 726 (BIPOP-CMA-ES, published), 719 (pycma)
    lengths = [_run(_make(_box(5), seed), 1e-8, 2000) for seed in range(10)]
    assert 500 < statistics.median(lengths) < 1000


def test_one_dimension_converges() -> None:
    lengths = [_run(_make(_box(1), seed), 1e-8, 1000) for seed in range(10)]
    assert statistics.median(lengths) < 300


def test_discrete_parameters_converge() -> None:
    space = build_space(
        {
            "x": {"type": "float", "lower": 0, "upper": 1},
            "n": {"type": "int", "lower": 1, "upper": 20},
            "kind": {"type": "categorical", "choices": ["a", "b", "c", "d"]},
        }
    )

    def value(config: Config) -> float:
        x, n = float(config["x"]), float(config["n"])
        return (x - 0.3) ** 2 + ((n - 17) / 20) ** 2 + (config["kind"] != "c")

    n_solved = 0
    for seed in range(10):
        optimizer = _make(space, seed)
        trials: list[Trial] = []
        while len(trials) < 300:
            (trial,) = optimizer.ask(1)
            optimizer.tell(trial, _evaluated(value(trial.config)))
            trials.append(trial)
        n_solved += min(value(trial.config) for trial in trials) < 1e-3
    assert n_solved >= 8


def test_a_run_that_makes_no_progress_starts_again_with_twice_the_population() -> None:
    optimizer = _make(_box(2))
    sizes: list[int] = []
    while not sizes or sizes[-1] == 6:
        trials = optimizer.ask(1000)
        sizes.append(len(trials))
        for trial in trials:
            optimizer.tell(trial, _evaluated(1.0))
        assert len(sizes) < 100
    assert sizes[-1] == 12


def test_the_first_generation_is_spread_around_the_middle_by_sigma0() -> None:
    # Truncated at the walls 0.5 / 0.3 = 1.67 deviations away, a deviation of 0.3 becomes 0.3 *
    # sqrt(1 - 2 * 1.67 * phi(1.67) / (2 Phi(1.67) - 1)) = 0.3 * 0.78 = 0.233.
    space = _box(2)
    trials = _make(space, population_size=2000).ask(2000)
    points = np.array([UnitCube(space).point(trial.config) for trial in trials])
    assert np.allclose(points.mean(axis=0), 0.5, atol=0.02)
    assert np.allclose(points.std(axis=0), 0.233, atol=0.01)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"sigma0": 0}, "cma_es.sigma0: expected a finite number above 0 and at most 1, got 0"),
        ({"population_size": 2}, "cma_es.population_size: expected null or an integer"),
        ({"restart_factor": 0.5}, "cma_es.restart_factor: expected a finite number of at least 1"),
    ],
)
def test_a_wrong_setting_is_named(setting: dict[str, Any], expected: str) -> None:
    settings = {"sigma0": 0.3, "population_size": None, "restart_factor": 2, **setting}
    with pytest.raises(ValueError, match=expected):
        CmaEs(_box(2), seed=0, **settings)
