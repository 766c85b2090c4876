"""Noise, failures and delays around another objective."""

import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from objectives.functions.synthetic import Branin
from objectives.objective import Objective, Resources
from objectives.space import build_space
from objectives.trial import Config, Evaluation, Fidelities, Goal, Trial
from objectives.wrappers.embedded import Embedded
from objectives.wrappers.failing import Failing
from objectives.wrappers.negated import Negated
from objectives.wrappers.noisy import Noisy
from objectives.wrappers.slow import Slow

CONFIG: Config = {"x1": 2.0, "x2": 3.0}


class Lonely(Objective):
    """Differs from the defaults of the contract in every possible attribute."""

    resources = Resources(gpus=2, cores=3, whole_host=True)
    version = 7
    goals = {"accuracy": Goal(minimise=False)}
    fidelities = Fidelities((0.5, 1.0))
    default = {"x1": 0.25}

    def __init__(self) -> None:
        self.space = build_space({"x1": {"type": "float", "lower": 0, "upper": 1}})

    def evaluate(self, trial: Trial) -> Evaluation:
        return Evaluation(9.0, 0.0, {"accuracy": 0.5}, "graded")

    def test(self, trial: Trial) -> dict[str, float]:
        return {"mmlu": 0.25}

    def fingerprint(self) -> dict[str, Any]:
        return {"data": "abc"}

    def notice(self) -> str | None:
        return "data: abc"


def branin() -> Branin:
    return Branin(shift="none", space={})


def noisy(inner: Objective, sd: float = 0.5, seed: int = 0) -> Noisy:
    return Noisy(inner=inner, sd=sd, seed=seed)


def failing(inner: Objective, **settings: Any) -> Failing:
    given = {"probability": 0.0, "region": None, "penalty": None, "seed": 0, **settings}
    return Failing(inner=inner, **given)


def slow(inner: Objective, seconds: float = 0.0, jitter: float = 0.0) -> Slow:
    return Slow(inner=inner, seconds=seconds, jitter=jitter, seed=0, cost_scale=0.0)


def fails(objective: Objective, id: int) -> bool:
    try:
        return objective.evaluate(Trial(id, CONFIG)).error is not None
    except RuntimeError:
        return True


def composed(*overrides: str) -> Objective:
    conf = str(Path(__file__).parents[1] / "conf")
    with initialize_config_dir(conf, version_base=None):
        settings = compose("config", overrides=["~optimizer", *overrides])
    objective: Objective = instantiate(settings.objective, _convert_="all")
    return objective


@pytest.mark.parametrize(("wrap", "changes"), [(noisy, 1), (failing, 1), (slow, 0)])
def test_what_the_inner_objective_says_of_itself_is_passed_on(wrap: Any, changes: int) -> None:
    inner, outer = Lonely(), wrap(Lonely())
    assert outer.space == inner.space
    assert (outer.version, outer.metric) == (7 + changes, "accuracy")
    for name in ("resources", "goals", "fidelities", "default"):
        assert getattr(outer, name) == getattr(inner, name)
    assert outer.fingerprint() == inner.fingerprint()
    assert outer.notice() == inner.notice()
    assert outer.test(Trial(0, {"x1": 0.5})) == {"mmlu": 0.25}


@pytest.mark.parametrize("wrap", [noisy, failing, slow])
def test_the_known_optimum_is_passed_on(wrap: Any) -> None:
    outer = wrap(branin())
    assert outer.optimum == branin().optimum
    assert list(outer.minimisers) == list(branin().minimisers)


@pytest.mark.parametrize("wrap", [noisy, failing, slow])
def test_metrics_and_graded_failures_are_passed_on(wrap: Any) -> None:
    evaluation = wrap(Lonely()).evaluate(Trial(3, {"x1": 0.5}))
    assert (evaluation.value, evaluation.error) == (9.0, "graded")
    assert evaluation.metrics == {"accuracy": 0.5}


@pytest.mark.parametrize("wrap", [noisy, failing, slow])
def test_something_else_than_an_objective_is_refused(wrap: Any) -> None:
    with pytest.raises(ValueError, match="inner: expected an objective, got 3"):
        wrap(3)


def test_noise_has_the_declared_mean_and_deviation() -> None:
    truth = branin().evaluate(Trial(0, CONFIG)).value
    assert truth is not None
    objective = noisy(branin(), sd=0.5)
    found = [objective.evaluate(Trial(id, CONFIG)).value for id in range(2000)]
    noise = np.array(found, dtype=float) - truth
    # Standard errors over 2000 draws: 0.5 / sqrt 2000 = 0.011 and 0.5 / sqrt 4000 = 0.008.
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 0.5) < 0.04


def test_the_same_trial_gets_the_same_noise_and_another_trial_other_noise() -> None:
    objective = noisy(branin())
    again: Objective = pickle.loads(pickle.dumps(objective))
    first = [objective.evaluate(Trial(id, CONFIG)).value for id in range(20)]
    assert [again.evaluate(Trial(id, CONFIG)).value for id in reversed(range(20))] == first[::-1]
    assert len(set(first)) == 20


def test_another_seed_gives_other_noise() -> None:
    values = [noisy(branin(), seed=seed).evaluate(Trial(0, CONFIG)).value for seed in range(10)]
    assert len(set(values)) == 10


def test_noise_of_deviation_zero_changes_nothing() -> None:
    trial = Trial(0, CONFIG)
    assert noisy(branin(), sd=0).evaluate(trial).value == branin().evaluate(trial).value


def test_noises_around_each_other_declare_their_common_deviation() -> None:
    assert noisy(noisy(branin(), sd=3), sd=4).noise_sd == pytest.approx(5)


def test_the_asked_share_of_trials_fails() -> None:
    objective = failing(branin(), probability=0.3)
    share = np.mean([fails(objective, id) for id in range(2000)])
    assert abs(share - 0.3) < 0.05  # standard error 0.01


def test_probability_zero_and_one_are_never_and_always() -> None:
    assert not any(fails(failing(branin(), probability=0), id) for id in range(200))
    assert all(fails(failing(branin(), probability=1), id) for id in range(200))


def test_the_same_trial_always_fares_the_same() -> None:
    first = [fails(failing(branin(), probability=0.5), id) for id in range(50)]
    assert [fails(failing(branin(), probability=0.5), id) for id in range(50)] == first
    assert [fails(failing(branin(), probability=0.5, seed=1), id) for id in range(50)] != first


def test_an_ungraded_failure_raises() -> None:
    with pytest.raises(RuntimeError, match="failed by chance"):
        failing(branin(), probability=1).evaluate(Trial(0, CONFIG))


def test_a_graded_failure_has_the_penalty_and_its_reason() -> None:
    evaluation = failing(branin(), probability=1, penalty=500).evaluate(Trial(0, CONFIG))
    assert (evaluation.value, evaluation.error) == (500, "failed by chance")


def test_a_region_fails_inside_and_not_outside() -> None:
    objective = failing(branin(), region={"x1": [1, 3], "x2": [2, 6]})
    with pytest.raises(RuntimeError, match="failing region"):
        objective.evaluate(Trial(0, CONFIG))
    assert objective.evaluate(Trial(0, {"x1": 0.9, "x2": 3.0})).error is None
    assert objective.evaluate(Trial(0, {"x1": 2.0, "x2": 7.0})).error is None


def test_a_penalty_in_a_region_grows_from_its_nearest_face_inwards() -> None:
    objective = failing(branin(), region={"x1": [0, 4], "x2": [0, 8]}, penalty=500)
    # Depths: at the middle 1; at (1, 4) min(2 * 1 / 4, 1) = 0.5; on a face 0.
    found = [
        objective.evaluate(Trial(0, {"x1": x1, "x2": x2})).value
        for x1, x2 in ((2.0, 4.0), (1.0, 4.0), (0.0, 4.0))
    ]
    assert found == pytest.approx([501, 500.5, 500])


def test_a_region_around_a_minimiser_takes_it_away() -> None:
    objective = failing(branin(), region={"x1": [0, 5]})  # holds (pi, 2.275)
    assert len(objective.minimisers) == 2
    assert objective.optimum == branin().optimum


def test_a_region_around_all_minimisers_leaves_the_optimum_unknown() -> None:
    assert failing(branin(), region={"x1": [-5, 10]}).optimum is None


def test_a_config_outside_the_space_is_an_error_and_no_failure_by_chance() -> None:
    with pytest.raises(ValueError, match="config: expected a point of the space"):
        failing(branin(), probability=1, penalty=500).evaluate(Trial(0, {"x1": 99.0, "x2": 0.0}))


def test_a_trial_sleeps_its_share_of_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for fidelity in (1.0, 0.25):
        slow(branin(), seconds=8).evaluate(Trial(0, CONFIG, fidelity))
    assert slept == [8, 2]


def test_sleeps_stay_within_the_jitter_and_differ_by_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for id in [*range(50), 0]:
        slow(branin(), seconds=10, jitter=0.5).evaluate(Trial(id, CONFIG))
    assert 5 <= min(slept) < 7 < 13 < max(slept) <= 15
    assert slept[-1] == slept[0]


def test_the_sleep_is_part_of_the_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 3.0, 3.0, 3.5])  # around the sleep, then around the formula
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr("objectives.wrappers.slow.perf_counter", lambda: next(clock))
    monkeypatch.setattr("objectives.functions.box.perf_counter", lambda: next(clock))
    assert slow(branin(), seconds=3).evaluate(Trial(0, CONFIG)).cost == 3.5


def test_the_inner_objective_is_chosen_and_set_on_the_command_line() -> None:
    objective = composed(
        *("objective=noisy", "objective@objective.inner=hartmann6", "objective.sd=0.25"),
        *("objective.inner.shift=none", "++objective.inner.space.x1.upper=0.5"),
    )
    assert isinstance(objective, Noisy)
    assert objective.noise_sd == 0.25
    assert objective.optimum == pytest.approx(-3.32237, abs=1e-5)
    assert objective.minimisers[0]["x1"] == pytest.approx(0.20169, abs=1e-5)


def test_a_region_is_given_on_the_command_line() -> None:
    objective = composed("objective=failing", "objective.region={x1: [-5, 10]}")
    assert objective.optimum is None


def test_wrappers_stand_around_each_other() -> None:
    objective = composed(
        *("objective=slow", "objective.seconds=0", "objective@objective.inner=failing"),
        *("objective@objective.inner.inner=levy", "objective.inner.probability=1"),
    )
    with pytest.raises(RuntimeError, match="failed by chance"):
        objective.evaluate(Trial(0, objective.minimisers[0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"probability": 1.5},
            r"probability: expected a finite number of at least 0 and at most 1, got 1\.5",
        ),
        (
            {"probability": "half"},
            r"probability: expected a finite number of at least 0 and at most 1, got 'half'",
        ),
        ({"penalty": float("inf")}, "penalty: expected null or a finite number, got inf"),
        ({"penalty": True}, "penalty: expected null or a finite number, got True"),
        ({"region": {"x9": [0, 1]}}, r"region: expected one of the parameters .*, got x9"),
        ({"region": {"x1": [1, 0]}}, r"region\.x1: expected \[lower, upper\], got \[1, 0\]"),
        ({"region": {"x1": 3}}, r"region\.x1: expected \[lower, upper\], got 3"),
        ({"region": 3}, "region: expected null or ranges by parameter, got 3"),
        ({"seed": -1}, "seed: expected an integer of at least 0, got -1"),
    ],
)
def test_a_wrong_setting_of_failing_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        failing(branin(), **settings)


@pytest.mark.parametrize("sd", [-1, float("nan"), float("inf"), "1", True, None])
def test_a_wrong_deviation_is_refused(sd: Any) -> None:
    with pytest.raises(ValueError, match="sd: expected a finite number of at least 0, got"):
        noisy(branin(), sd=sd)


@pytest.mark.parametrize(("seconds", "jitter"), [(-1, 0), (1, 2), ("1", 0), (float("inf"), 0)])
def test_a_wrong_delay_is_refused(seconds: Any, jitter: Any) -> None:
    with pytest.raises(ValueError, match="(seconds|jitter): expected a .*number"):
        slow(branin(), seconds=seconds, jitter=jitter)


def test_an_embedded_objective_depends_on_its_own_axes_only() -> None:
    inner = Branin(shift=None, space={})
    objective = Embedded(inner=inner, dimension=12, seed=3)
    assert sorted(objective.space) == sorted(f"x{axis}" for axis in range(1, 13))
    config: Config = {f"x{axis}": 0.25 for axis in range(1, 13)}
    value = objective.evaluate(Trial(0, config)).value
    assert value == inner.evaluate(Trial(0, {"x1": -5 + 0.25 * 15, "x2": 0.25 * 15})).value
    matter = {f"x{place + 1}" for place in objective.places}
    moved = {
        name
        for name in config
        if objective.evaluate(Trial(1, {**config, name: 0.6})).value != value
    }
    assert moved == matter and len(matter) == 2
    other = Embedded(inner=inner, dimension=12, seed=4)
    assert list(other.places) != list(objective.places)
    with pytest.raises(ValueError, match=r"dimension: expected an integer of at least 2, got 1"):
        Embedded(inner=inner, dimension=1, seed=0)


def test_slow_sleeps_a_share_of_the_cost_of_the_inner_evaluation() -> None:
    class Costly(Lonely):
        simulates_cost = True

        def evaluate(self, trial: Trial) -> Evaluation:
            return Evaluation(1.0, 0.05)

    objective = Slow(inner=Costly(), seconds=0.0, jitter=0.0, seed=0, cost_scale=2.0)
    assert not objective.cheap and not objective.simulates_cost
    assert objective.evaluate(Trial(0, {"x1": 0.0})).cost >= 0.15


def test_a_negated_objective_has_the_opposite_value_and_no_goal() -> None:
    inner = branin()
    negated = Negated(inner=inner)
    value = inner.evaluate(Trial(0, CONFIG)).value
    assert value is not None
    assert negated.evaluate(Trial(0, CONFIG)).value == -value
    assert negated.optimum is None and not negated.goals and not negated.minimisers


def test_a_negated_objective_passes_failures_on() -> None:
    assert Negated(inner=Lonely()).evaluate(Trial(0, {"x1": 0.5})).value == 9.0


def test_an_objective_with_several_goals_cannot_be_negated() -> None:
    several = Lonely()
    several.goals = {"a": Goal(minimise=True), "b": Goal(minimise=True)}
    with pytest.raises(ValueError, match="inner: expected one goal and no limits, got a, b"):
        Negated(inner=several)
