"""The rules of an objective, over every YAML under conf/objective.

Rules on values sample the objectives whose class says that it is cheap; the others would need
minutes.
"""

import inspect
import json
import math
import os
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from numpy.random.mtrand import get_bit_generator
from omegaconf import DictConfig

from objectives.objective import Objective
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial

CONF = Path(__file__).parents[1] / "conf"
NAMES = sorted(path.stem for path in (CONF / "objective").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _on_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find programs and GPUs that some objectives ask for in their constructor."""
    there = Path(__file__).with_name("stand_in_bin")
    monkeypatch.setenv("PATH", f"{there}{os.pathsep}{os.environ['PATH']}")


def settings(name: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base=None):
        composed = compose("config", overrides=["~optimizer", f"objective={name}"])
    found: DictConfig = composed.objective
    return found


def build(name: str) -> Objective:
    built: Objective = instantiate(settings(name), _convert_="all")
    return built


def is_cheap(name: str) -> bool:
    kind: Any = get_class(settings(name)["_target_"])
    return bool(kind.cheap)


CHEAP = [name for name in NAMES if is_cheap(name)]


def sampled(objective: Objective, n: int) -> list[Config]:
    """Return n configurations that the space does not forbid."""
    cube = UnitCube(objective.space)
    generator = np.random.default_rng(0)
    configs: list[Config] = []
    while len(configs) < n:
        config = cube.config(generator.random(cube.dim))
        if cube.allows(config):
            configs.append(config)
    return configs


def evaluated(objective: Objective, trials: list[Trial]) -> list[Evaluation]:
    """Return the evaluations that did not fail."""
    done = []
    for trial in trials:
        try:
            evaluation = objective.evaluate(trial)
        except RuntimeError:  # a failure, which some objectives promise
            continue
        if evaluation.error is None:
            done.append(evaluation)
    return done


def values(objective: Objective, trials: list[Trial]) -> list[float]:
    found = [evaluation.value for evaluation in evaluated(objective, trials)]
    return [value for value in found if value is not None]


def tolerance(objective: Objective) -> float:
    """Return what rounding and, six standard deviations wide, the declared noise may change."""
    return 1e-9 * max(1.0, abs(objective.optimum or 0.0)) + 6 * objective.noise_sd


@pytest.mark.parametrize("name", NAMES)
def test_the_space_is_one_that_the_unit_cube_maps(name: str) -> None:
    space = build(name).space
    assert isinstance(space, ConfigurationSpace)
    assert UnitCube(space).dim == len(space) >= 1


@pytest.mark.parametrize("name", NAMES)
def test_settings_have_their_defaults_in_the_yaml_alone(name: str) -> None:
    parameters = inspect.signature(get_class(settings(name)["_target_"])).parameters.values()
    assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    assert {p.default for p in parameters} == {inspect.Parameter.empty}
    assert {p.name for p in parameters} == set(settings(name)) - {"_target_"}


@pytest.mark.parametrize("name", NAMES)
def test_a_misspelt_setting_is_refused(name: str) -> None:
    with pytest.raises(InstantiationException, match="misspelt"):
        instantiate(settings(name), misspelt=1, _convert_="all")


@pytest.mark.parametrize("name", NAMES)
def test_a_config_outside_the_space_raises(name: str) -> None:
    objective = build(name)
    inside = sampled(objective, 1)[0]
    for outside in ({}, {**inside, "no such parameter": 1}):
        with pytest.raises(ValueError, match="config"):
            objective.evaluate(Trial(0, outside))


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_travels_to_another_process(name: str) -> None:
    objective = build(name)
    there: Objective = pickle.loads(pickle.dumps(objective))
    assert sampled(there, 50) == sampled(objective, 50)
    assert there.optimum == objective.optimum
    assert list(there.minimisers) == list(objective.minimisers)
    assert there.fingerprint() == objective.fingerprint()
    assert there.notice() == objective.notice()


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_is_plain_json_and_repeats(name: str) -> None:
    fingerprint = build(name).fingerprint()
    assert json.loads(json.dumps(fingerprint)) == fingerprint == build(name).fingerprint()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_about_the_objective_has_its_form(name: str) -> None:
    objective = build(name)
    notice = objective.notice()
    assert notice is None or "\n" not in notice
    assert isinstance(objective.version, int) and objective.version >= 1
    assert isinstance(objective.shares_host, bool)
    assert objective.noise_sd >= 0


@pytest.mark.parametrize("name", CHEAP)
def test_the_value_at_a_known_minimiser_is_the_optimum(name: str) -> None:
    objective = build(name)
    assert (objective.optimum is None) == (not objective.minimisers)
    for minimiser in objective.minimisers:
        assert objective.optimum is not None
        found = values(objective, [Trial(id, minimiser) for id in range(20)])
        assert found
        assert found == pytest.approx(
            [objective.optimum] * len(found), rel=0, abs=tolerance(objective)
        )


@pytest.mark.parametrize("name", CHEAP)
def test_no_sampled_point_lies_below_the_optimum(name: str) -> None:
    objective = build(name)
    lowest = -math.inf if objective.optimum is None else objective.optimum
    trials = [Trial(id, config) for id, config in enumerate(sampled(objective, 500))]
    assert min(values(objective, trials)) >= lowest - tolerance(objective)


@pytest.mark.parametrize("name", CHEAP)
def test_the_same_config_gives_the_same_value_or_its_declared_noise(name: str) -> None:
    objective = build(name)
    for config in sampled(objective, 20):
        found = values(objective, [Trial(id, config) for id in range(20)])
        # Two draws differ by less than 12 sd where each is within 6 of the mean.
        assert not found or max(found) - min(found) <= 12 * objective.noise_sd


@pytest.mark.parametrize("name", CHEAP)
def test_the_same_trial_gives_the_same_value_in_any_order_and_copy(name: str) -> None:
    objective = build(name)
    trials = [Trial(id, config) for id, config in enumerate(sampled(objective, 30))]
    there: Objective = pickle.loads(pickle.dumps(objective))
    assert values(objective, trials) == values(there, trials[::-1])[::-1]


@pytest.mark.parametrize("name", CHEAP)
def test_an_evaluation_is_plain_and_finite(name: str) -> None:
    objective = build(name)
    trials = [Trial(id, config) for id, config in enumerate(sampled(objective, 30))]
    for evaluation in evaluated(objective, trials):
        fields: dict[str, Any] = evaluation.to_json()
        assert json.loads(json.dumps(fields, allow_nan=False)) == fields


@pytest.mark.parametrize("name", CHEAP)
def test_a_higher_fidelity_does_not_cost_less(name: str) -> None:
    objective = build(name)
    config = next(c for c in sampled(objective, 100) if values(objective, [Trial(0, c)]))
    least, most = (
        min(e.cost for e in evaluated(objective, [Trial(id, config, share) for id in range(50)]))
        for share in (0.25, 1.0)
    )
    # The least of 50 measured times; a factor of five for what the machine does meanwhile.
    assert 0 <= least <= 5 * most


@pytest.mark.parametrize("name", CHEAP)
def test_evaluating_leaves_the_global_random_state_alone(name: str) -> None:
    before = pickle.dumps((random.getstate(), get_bit_generator().state))
    objective = build(name)
    evaluated(objective, [Trial(id, config) for id, config in enumerate(sampled(objective, 5))])
    assert pickle.dumps((random.getstate(), get_bit_generator().state)) == before
