"""Facts of the full factorial grid."""

import pytest
from ConfigSpace import ConfigurationSpace

from objectives.space import build_space
from objectives.trial import Config
from optimizers.grid import Grid


def _grid(space: ConfigurationSpace, budget: float, order: str = "lexicographic") -> list[Config]:
    trials = Grid(space, seed=0, budget=budget, order=order).ask(10_000)
    return [trial.config for trial in trials]


def _box(dim: int) -> ConfigurationSpace:
    return build_space(
        {f"x{axis}": {"type": "float", "lower": 0, "upper": 1} for axis in range(dim)}
    )


@pytest.mark.parametrize(
    ("dim", "budget", "n_points"),
    [
        (1, 7, 7),
        (2, 16, 16),  # 4 x 4
        (2, 19, 16),  # 5 x 4 = 20 would be too many
        (2, 20, 20),
        (5, 50, 48),  # 3 x 2 x 2 x 2 x 2
        (3, 7, 6),  # 3 x 2 x 1: 2 x 2 x 2 = 8 would be too many
    ],
)
def test_the_levels_are_as_equal_as_the_budget_allows(dim: int, budget: int, n_points: int) -> None:
    assert len(_grid(_box(dim), budget)) == n_points


def test_levels_are_the_middles_of_equal_shares() -> None:
    levels = [config["x0"] for config in _grid(_box(1), 4)]
    assert levels == [0.125, 0.375, 0.625, 0.875]


def test_a_discrete_axis_has_at_most_its_values() -> None:
    space = build_space(
        {
            "kind": {"type": "categorical", "choices": ["a", "b"]},
            "n": {"type": "int", "lower": 1, "upper": 3},
            "x": {"type": "float", "lower": 0, "upper": 1},
        }
    )
    grid = _grid(space, 60)  # 2 x 3 x 10
    assert len(grid) == 60
    assert {config["n"] for config in grid} == {1, 2, 3}
    assert len({config["x"] for config in grid}) == 10


def test_a_level_that_an_inactive_parameter_repeats_is_served_once() -> None:
    space = build_space(
        {
            "kind": {"type": "categorical", "choices": ["a", "b"]},
            "n": {"type": "int", "lower": 1, "upper": 3, "when": {"kind": "a"}},
        }
    )
    assert _grid(space, 4) == [
        {"kind": "a", "n": 1},
        {"kind": "a", "n": 2},
        {"kind": "a", "n": 3},
        {"kind": "b"},
    ]


def test_forbidden_points_are_left_out_and_do_not_count() -> None:
    levels = {"type": "int", "lower": 1, "upper": 3}
    space = build_space({"a": levels, "b": levels}, forbidden=[{"a": 1, "b": 1}])
    grid = _grid(space, 8)
    assert len(grid) == 8
    assert {"a": 1, "b": 1} not in grid


def test_a_shuffled_grid_holds_the_same_points_in_the_order_of_its_seed() -> None:
    ordered, shuffled = _grid(_box(2), 25), _grid(_box(2), 25, "shuffled")
    assert ordered != shuffled
    assert sorted(map(str, ordered)) == sorted(map(str, shuffled))


def test_a_wrong_order_is_named() -> None:
    with pytest.raises(ValueError, match="grid.order: expected one of .*, got 'random'"):
        Grid(_box(1), seed=0, budget=3, order="random")
