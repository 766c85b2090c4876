"""BBOB's functions as objectives."""

import pickle
from typing import Any

import ioh
import numpy as np
import pytest

from objectives.functions.bbob import Bbob
from objectives.space import UnitCube
from objectives.trial import Config, Trial

FUNCTIONS = range(1, 25)


def bbob(function: int, **settings: Any) -> Bbob:
    given = {"instance": 1, "dimension": 3, "shift": "none", "space": {}, **settings}
    return Bbob(function=function, **given)


def value_at(objective: Bbob, config: Config) -> float:
    value = objective.evaluate(Trial(0, config)).value
    assert value is not None
    return value


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_value_at_the_minimiser_is_the_optimum(function: int) -> None:
    for instance in (1, 2, 15):
        for shift in ("none", 4):
            objective = bbob(function, instance=instance, shift=shift)
            (minimiser,) = objective.minimisers
            # A shift and its inverse round: a term of slope 1e3 turns 1e-15 into 1e-12.
            assert value_at(objective, minimiser) == pytest.approx(objective.optimum, abs=1e-8)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_point_lies_below_the_optimum_in_the_box_or_beyond_it(function: int) -> None:
    objective = bbob(function)
    rng = np.random.default_rng(0)
    (minimiser,) = objective.minimisers
    near = np.array(list(minimiser.values()), dtype=float) + rng.normal(0, 1e-3, (200, 3))
    points = [*rng.uniform(-6.5, 6.5, (500, 3)), *near]
    assert objective.optimum is not None
    assert min(map(objective.formula, points)) >= objective.optimum - 1e-9


@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_are_those_of_ioh(function: int) -> None:
    objective = bbob(function, instance=2, dimension=4)
    problem = ioh.get_problem(function, 2, 4, ioh.ProblemClass.BBOB)
    for x in np.random.default_rng(0).uniform(-5, 5, (20, 4)):
        config: Config = dict(zip(objective.names, x.tolist(), strict=True))
        assert value_at(objective, config) == problem(x)


def test_instances_have_their_own_minimisers() -> None:
    assert bbob(8, instance=1).minimisers != bbob(8, instance=2).minimisers


def test_the_space_is_the_usual_box() -> None:
    cube = UnitCube(bbob(1, dimension=7).space)
    assert list(cube.config([0.0] * 7).values()) == [-5.0] * 7
    assert list(cube.config([1.0] * 7).values()) == [5.0] * 7


def test_a_copy_from_another_process_gives_the_same_values() -> None:
    objective = bbob(21)
    config: Config = {"x1": 1.0, "x2": -2.0, "x3": 3.0}
    assert value_at(pickle.loads(pickle.dumps(objective)), config) == value_at(objective, config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"function": 25}, r"function: expected an integer of at least 1 and at most 24, got 25"),
        ({"function": 0}, r"function: expected an integer of at least 1 and at most 24, got 0"),
        (
            {"function": "sphere"},
            r"function: expected an integer of at least 1 and at most 24, got 'sphere'",
        ),
        (
            {"instance": 0},
            r"instance: expected an integer of at least 1 and at most 2147483647, got 0",
        ),
        ({"dimension": 1}, "dimension: expected an integer of at least 2, got 1"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bbob(**{"function": 1, **settings})
