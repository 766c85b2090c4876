"""gp_bo: LogEI in the region in which EI underflows, batches, and forbidden proposals."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from objectives.space import UnitCube, build_space
from objectives.trial import Config, Evaluation, Trial
from optimizers.acquisition import NAMES, Acquisition, log_h
from optimizers.gaussian_process import GaussianProcess, Slopes
from optimizers.gp_bo import GaussianProcessOptimizer
from optimizers.targets import learnable, targets

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
    "exploit_every": 2,
    "candidates": 64,
    "starts": 2,
}
Floats = NDArray[np.float64]


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


def test_the_start_is_the_middle_and_a_latin_hypercube_within_a_tenth_of_the_faces() -> None:
    trials = make(PLANE, n_initial=9).ask(9)
    assert trials[0].config == {"x": 0.5, "y": 0.5}
    for name in PLANE:
        strata = [math.floor(10 * (float(trial.config[name]) - 0.1)) for trial in trials[1:]]
        assert sorted(strata) == list(range(8))  # eighths of [0.1, 0.9]


def test_a_design_of_one_is_the_middle() -> None:
    assert make(PLANE, n_initial=1).ask(1)[0].config == {"x": 0.5, "y": 0.5}


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


def test_while_nothing_has_succeeded_points_fill_the_space_whatever_the_grades() -> None:
    optimizer = make(PLANE)
    for _ in range(20):  # the grades fall towards a corner
        (trial,) = optimizer.ask(1)
        grade = 1e4 + 100 * (float(trial.config["x"]) + float(trial.config["y"]))
        optimizer.tell(trial, Evaluation(grade, 0.0, error="out of memory"))
    points = np.array(optimizer._points)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)[~np.eye(20, dtype=bool)]
    assert apart.min() > 0.08  # 20 points on a square lattice of the unit square: 0.22


@pytest.mark.parametrize("value", [0.0, -5.0, 1e9, 1e300, -1e300])
@pytest.mark.parametrize("grade", [None, 1e308, 0.5])
def test_with_one_success_every_failure_is_worse_than_it(value: float, grade: float | None) -> None:
    failure = Evaluation(grade, 0.0, error="failed")
    told = [failure, answer(value), failure]
    for learnt in (targets(told), learnable(told)):
        assert learnt[0] > learnt[1] < learnt[2]


def test_one_success_among_failures_draws_the_search_to_itself() -> None:
    optimizer = make(PLANE)
    success = np.array([0.3, 0.7])
    near = 0
    for n in range(24):
        (trial,) = optimizer.ask(1)
        away = np.abs(optimizer._cube.point(trial.config) - success).max()
        near += n >= 12 and bool(away < 0.25)
        failed = Evaluation(10.0 + away, 0.0, error="out of memory")
        optimizer.tell(trial, answer(1.0) if away < 0.2 else failed)
    assert near >= 6  # of 12; the square is a quarter of the space


def test_failures_are_no_better_than_the_worst_success_and_at_most_a_range_worse() -> None:
    failures = [Evaluation(value, 0.0, error="failed") for value in (None, -7.0, 1.5, 1e300)]
    learnt = learnable([answer(1.0), answer(2.0), answer(3.0), *failures])
    assert learnt.tolist() == [1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 5.0]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(lambda v, n: 22.0 if n == 3 else 2 + 0.01 * v, id="one cliff of 22"),
        pytest.param(lambda v, n: 1e9 if n == 3 else v, id="one cliff of 1e9"),
        pytest.param(lambda v, n: 1e300 if n in (2, 5) else v, id="two cliffs of 1e300"),
        pytest.param(lambda v, n: 1e300 * v, id="all near 1e300"),
        pytest.param(lambda v, n: 1.7e308 * (2 * v - 1), id="up to 1.7e308, of both signs"),
        pytest.param(lambda v, n: 1e9 + 1e-3 * v, id="a relative spread of 1e-12"),
        pytest.param(lambda v, n: 1e-300 * v, id="near 1e-300"),
        pytest.param(lambda v, n: -1e9 + v, id="a large negative offset"),
    ],
)
def test_no_size_of_the_values_makes_it_blind(told: Callable[[float, int], float]) -> None:
    optimizer, best = make(PLANE), math.inf
    for _ in range(20):
        (trial,) = optimizer.ask(1)
        value = sphere(trial.config)
        best = min(best, value)
        optimizer.tell(trial, answer(told(value, trial.id)))
    assert best < 1e-3


def test_the_rules_of_the_space_are_kept_in_design_and_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def allows(cube: UnitCube, config: Config) -> bool:
        return float(config["x"]) + float(config["y"]) < 0.5  # an eighth of the square

    monkeypatch.setattr(UnitCube, "allows", allows)
    optimizer = make(PLANE, n_initial=5)
    design = optimizer.ask(5)
    configs = [trial.config for trial in design]
    for trial in design:
        optimizer.tell(trial, answer(sphere(trial.config)))
    configs += run(optimizer, sphere, 15)
    assert len(configs) == n_different(configs) == 20
    assert all(float(config["x"]) + float(config["y"]) < 0.5 for config in configs)
    # At x + y = 1/2 the least value is 2 (1/4 - 3/10)^2 = 0.005.
    assert min(map(sphere, configs)) < 0.006


def test_a_point_of_a_batch_is_not_next_to_another_even_where_all_is_known() -> None:
    optimizer = make(PLANE)
    run(optimizer, sphere, 20)
    points = np.array([list(trial.config.values()) for trial in optimizer.ask(6)], dtype=float)
    apart = np.abs(points[:, None] - points[None]).max(axis=-1)[~np.eye(6, dtype=bool)]
    assert apart.min() >= 1e-3


def test_asynchronous_tells_close_in_as_well() -> None:
    optimizer = make(PLANE)
    rng, pending, best = np.random.default_rng(0), optimizer.ask(4), math.inf
    for _ in range(24):
        trial = pending.pop(int(rng.integers(4)))
        best = min(best, sphere(trial.config))
        optimizer.tell(trial, answer(sphere(trial.config)))
        pending += optimizer.ask(1)
    assert best < 1e-3


def test_noise_is_averaged() -> None:
    rng, optimizer = np.random.default_rng(0), make(PLANE, noiseless=False)
    configs = run(optimizer, lambda c: sphere(c) + 0.05 * rng.standard_normal(), 40)
    assert np.median([sphere(config) for config in configs[-10:]]) < 0.03  # a random point: 0.2


@pytest.mark.parametrize(("n", "dim"), [(1000, 5), (60, 100)])
def test_many_evaluations_and_many_axes_are_borne(n: int, dim: int) -> None:
    space = {f"x{axis}": UNIT for axis in range(dim)}
    optimizer = make(space, n_initial=1, candidates=256, starts=3)
    rng = np.random.default_rng(0)
    for id in range(n):
        config: Config = {name: float(x) for name, x in zip(space, rng.random(dim), strict=True)}
        optimizer.tell(Trial(id, config), answer(sphere(config)))
    told = min(evaluation.value or 0.0 for evaluation in optimizer._told)
    configs = run(optimizer, sphere, 5)  # the first of them is the design
    assert min(map(sphere, configs)) < 0.8 * told


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
        ("exploit_every", -1),
        ("exploit_every", True),
        ("noiseless", "yes"),
        ("candidates", 500),
        ("starts", 1.5),
    ],
)
def test_a_bad_setting_is_named_with_its_value(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"gp_bo\.{setting}: expected .*, got {value!r}"):
        GaussianProcessOptimizer(build_space(PLANE), seed=0, **{**SETTINGS, setting: value})
