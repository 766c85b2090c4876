"""The conditional mixed space and its function."""

from typing import Any

import numpy as np
import pytest

from objectives.functions.mixed import Mixed
from objectives.space import UnitCube
from objectives.trial import Config, Trial

BEST: Config = {
    "learning_rate": 10**-2.3,
    "momentum": 0.83,
    "depth": 7,
    "width": 96,
    "regularisation": "middle",
}


def value_at(config: Config) -> float:
    value = Mixed(space={}).evaluate(Trial(0, config)).value
    assert value is not None
    return value


def test_the_space_has_every_kind_of_parameter() -> None:
    cube = UnitCube(Mixed(space={}).space)
    sizes = dict(zip(cube.names, cube.n_values.tolist(), strict=True))
    kinds = {type(axis).__name__ for axis in cube.space.values()}
    assert kinds == {
        "UniformFloatHyperparameter",
        "UniformIntegerHyperparameter",
        "CategoricalHyperparameter",
        "OrdinalHyperparameter",
    }
    assert len(cube.space.conditions) == 3
    assert sizes["width"] == 505


def test_the_optimum_is_in_the_branch_behind_two_conditions() -> None:
    (minimiser,) = Mixed(space={}).minimisers
    assert minimiser == {**BEST, "kernel": "poly", "degree": 4, "mix": 0.37}
    assert value_at(minimiser) == pytest.approx(0, abs=1e-12)


def test_the_other_branches_end_higher() -> None:
    assert value_at({**BEST, "kernel": "linear"}) == pytest.approx(0.5)
    assert value_at({**BEST, "kernel": "rbf", "gamma": 10**0.4}) == pytest.approx(0.1)


def test_most_degrees_of_the_best_branch_are_worse_than_the_other_branches() -> None:
    # 0.4 (degree - 4)^2, with 0.3 for the missing mix below 4 and above 5.
    found = [value_at({**BEST, "kernel": "poly", "degree": degree}) for degree in (2, 3, 6)]
    assert found == pytest.approx([1.9, 0.7, 1.9])
    assert value_at({**BEST, "kernel": "poly", "degree": 5, "mix": 0.37}) == pytest.approx(0.4)


def test_the_best_learning_rate_falls_with_the_depth() -> None:
    def at(depth: int, exponent: float) -> float:
        config = {**BEST, "depth": depth, "learning_rate": 10**exponent, "kernel": "linear"}
        return value_at(config)

    # Depth 11 moves the best exponent from -2.3 to -3.3, and costs 0.02 * 16.
    assert at(11, -3.3) == pytest.approx(0.5 + 0.32)
    assert at(11, -3.3) < at(11, -2.3)
    assert at(7, -2.3) < at(7, -3.3)


def test_the_learning_rate_has_local_minima() -> None:
    # The ripple 0.3 (1 - cos 3 pi r) vanishes at r = 2/3 and is 0.6 at r = 1/3.
    def at(r: float) -> float:
        return value_at({**BEST, "learning_rate": 10 ** (-2.3 + r), "kernel": "linear"})

    assert at(1 / 3) == pytest.approx(0.5 + 1 / 9 + 0.6)
    assert at(2 / 3) == pytest.approx(0.5 + 4 / 9)


def test_no_point_lies_below_the_optimum() -> None:
    objective = Mixed(space={})
    cube = UnitCube(objective.space)
    points = np.random.default_rng(0).random((3000, cube.dim))
    values = [objective.evaluate(Trial(0, cube.config(u))).value for u in points]
    assert all(value is not None and value > 0 for value in values)


def test_an_override_that_excludes_the_minimiser_leaves_the_optimum_unknown() -> None:
    assert Mixed(space={"depth": {"upper": 8}}).optimum == 0
    narrowed = Mixed(space={"depth": {"upper": 6}})
    assert (narrowed.optimum, narrowed.minimisers) == (None, ())


def test_a_branch_may_be_left_out() -> None:
    objective = Mixed(space={"kernel": {"choices": ["rbf", "poly"]}})
    with pytest.raises(ValueError, match="config: expected a point of the space"):
        objective.evaluate(Trial(0, {**BEST, "kernel": "linear"}))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"dept": {"upper": 8}}, r"space: expected one of the parameters .*, got dept"),
        ({"kernel": {"choices": ["cubic"]}}, r"space\.kernel\.choices: expected some of .*cubic"),
        ({"depth": {"upper": "many"}}, r"space\.depth\.upper: expected a finite int, got 'many'"),
    ],
)
def test_a_wrong_override_is_refused(space: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mixed(space=space)
