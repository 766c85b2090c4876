"""Facts of REMBO: the embedding of Wang et al. (2016), and its clipping (Letham et al., 2020)."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace

from asking import answers, converse, floats
from objectives.space import UnitCube, build_space
from objectives.trial import Evaluation, Trial
from optimizers.random_search import RandomSearch
from optimizers.rembo import Rembo


def cube_of(dim: int) -> ConfigurationSpace:
    axis = {"type": "float", "lower": 0.0, "upper": 1.0}
    return build_space({f"x{i}": axis for i in range(dim)})


def _make(space: ConfigurationSpace, dim: int, seed: int = 0) -> Rembo:
    return Rembo(space, seed=seed, inner=RandomSearch, dim=dim)


def test_a_point_of_the_box_is_projected_onto_the_cube() -> None:
    optimizer = _make(cube_of(3), 2)
    y = np.array([0.3, -0.2])
    expected = (np.clip(optimizer._matrix @ y, -1, 1) + 1) / 2
    assert optimizer.point(y) == pytest.approx(expected)
    assert optimizer.point(np.zeros(2)) == pytest.approx([0.5] * 3)


def test_the_box_reaches_from_minus_to_plus_the_root_of_its_dimensions() -> None:
    optimizer = _make(cube_of(9), 4)
    parameter: Any = optimizer._inner.space["y4"]
    assert (parameter.lower, parameter.upper) == (-math.sqrt(4), math.sqrt(4))


def test_most_points_of_many_parameters_lie_on_the_boundary() -> None:
    """Letham et al. (2020), sec. 4: the projection clips nearly every point of the box."""
    space = cube_of(100)
    trials = converse(_make(space, 6), answers(space), 50)
    points = np.array([UnitCube(space).point(trial.config) for trial in trials])
    clipped = (points == 0) | (points == 1)
    assert np.all(clipped.any(axis=1))
    assert clipped.mean() > 0.5


def test_a_subspace_of_one_dimension_is_searched_along_one_line() -> None:
    space = cube_of(2)
    optimizer = _make(space, 1)
    a, b = optimizer._matrix[:, 0]
    for trial in converse(optimizer, answers(space), 20):
        x, y = 2 * UnitCube(space).point(trial.config) - 1
        inside = abs(x) < 1 and abs(y) < 1
        assert not inside or x * b == pytest.approx(y * a)


def test_what_was_not_asked_is_told_at_the_nearest_point_of_the_box() -> None:
    told: list[Trial] = []

    class Listening(RandomSearch):
        def tell(self, trial: Trial, evaluation: Evaluation) -> None:
            told.append(trial)

    space = cube_of(5)
    optimizer = Rembo(space, seed=0, inner=Listening, dim=2)
    y = np.array([0.1, -0.15])
    config = UnitCube(space).config(optimizer.point(y))
    optimizer.tell(Trial(0, config), Evaluation(1.0, 1.0))
    assert list(told[0].config.values()) == pytest.approx(y.tolist())


def test_the_embedding_is_the_seeds_own() -> None:
    make = partial(_make, floats(8), 3)
    first, again, other = make(1)._matrix, make(1)._matrix, make(2)._matrix
    assert np.array_equal(first, again) and not np.array_equal(first, other)
