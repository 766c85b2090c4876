"""Facts of Latin hypercube sampling."""

from typing import Any

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace
from scipy.stats import qmc

from objectives.space import UnitCube, build_space
from objectives.trial import Config
from optimizers import lhs
from optimizers.lhs import LatinHypercube

BOX = build_space(
    {
        "x": {"type": "float", "lower": -3, "upper": 5},
        "rate": {"type": "float", "lower": 1e-6, "upper": 1, "log": True},
        "y": {"type": "float", "lower": 0, "upper": 1},
    }
)


def _design(
    space: ConfigurationSpace, budget: float, seed: int = 0, optimization: str | None = None
) -> list[Config]:
    optimizer = LatinHypercube(
        space, seed=seed, budget=budget, scramble=True, optimization=optimization
    )
    return [trial.config for trial in optimizer.ask(1000)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("optimization", [None, "random-cd"])
def test_each_stratum_of_each_axis_has_one_point(seed: int, optimization: str | None) -> None:
    cube = UnitCube(BOX)
    points = np.array([cube.point(config) for config in _design(BOX, 20, seed, optimization)])
    strata = np.floor(points * 20).astype(int)
    for axis in range(cube.dim):
        assert sorted(strata[:, axis]) == list(range(20))


def test_an_integer_with_as_many_values_as_points_takes_each_once() -> None:
    space = build_space({"n": {"type": "int", "lower": 1, "upper": 12}})
    assert sorted(config["n"] for config in _design(space, 12)) == list(range(1, 13))


def test_points_moved_off_forbidden_combinations_keep_their_strata() -> None:
    space = build_space(
        {
            "x": {"type": "float", "lower": 0, "upper": 1},
            "a": {"type": "int", "lower": 1, "upper": 4},
            "b": {"type": "int", "lower": 1, "upper": 4},
        },
        forbidden=[{"a": 1, "b": 1}, {"a": 3, "b": 3}],
    )
    for seed in range(5):
        design = _design(space, 16, seed)
        assert not any(config["a"] == config["b"] in (1, 3) for config in design)
        # 16 points on 4 values: 4 each
        for name in ("a", "b"):
            assert sorted(config[name] for config in design) == sorted([1, 2, 3, 4] * 4)
        strata = sorted(int(float(config["x"]) * 16) for config in design)
        assert strata == list(range(16))


def test_the_design_has_the_whole_part_of_the_budget_and_then_ends() -> None:
    assert len(_design(BOX, 7.9)) == 7


def test_a_design_cannot_be_extended() -> None:
    assert not LatinHypercube.extendable


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (
            {"budget": 0.5},
            "lhs.budget: expected a finite number of at least 1 and at most 1000000, got 0.5",
        ),
        ({"scramble": "yes"}, "lhs.scramble: expected true or false, got 'yes'"),
        (
            {"optimization": "best"},
            "lhs.optimization: expected null or one of random-cd, lloyd, got",
        ),
    ],
)
def test_a_wrong_setting_is_named(setting: dict[str, Any], expected: str) -> None:
    settings = {"budget": 5, "scramble": True, "optimization": None, **setting}
    with pytest.raises(ValueError, match=expected):
        LatinHypercube(BOX, seed=0, **settings)


@pytest.mark.parametrize("scramble", [True, False])
def test_the_design_is_the_one_that_scipy_draws(scramble: bool) -> None:
    ours, theirs = np.random.default_rng(7), np.random.default_rng(7)
    sampler = qmc.LatinHypercube(3, scramble=scramble, rng=theirs)
    assert np.array_equal(lhs._design(20, 3, scramble, ours), sampler.random(20))
    assert ours.random() == theirs.random()
