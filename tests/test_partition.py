"""The K-ary partition: exact centres, tiles, and the smallest cells."""

import itertools
import math
from fractions import Fraction
from typing import Any

import pytest

from objectives.space import UnitCube, build_space
from optimizers.partition import Cell, Partition


def _partition(parameters: dict[str, dict[str, Any]], k: int = 3) -> tuple[Partition, Cell]:
    tree = Partition(UnitCube(build_space(parameters)), k)
    return tree, tree.plant()


def _floats(dim: int) -> dict[str, dict[str, Any]]:
    return {f"x{i}": {"type": "float", "lower": 0.0, "upper": 1.0} for i in range(dim)}


def _exhaust(tree: Partition) -> None:
    for depth in itertools.count():
        if depth == len(tree.leaves):
            return
        for cell in list(tree.leaves[depth]):
            tree.split(cell, sweep=1)


def test_children_come_from_left_to_right_and_the_middle_one_last() -> None:
    tree, root = _partition(_floats(1), k=5)
    centres = [tree.fractions(child)[0] for child in tree.split(root, sweep=1)]
    # Five pieces of width 1/5: centres (2j + 1)/10.
    assert centres == [Fraction(n, 10) for n in (1, 3, 7, 9, 5)]


def test_the_longest_side_is_split_and_the_first_axis_on_ties() -> None:
    tree, root = _partition(_floats(3))
    middle = tree.split(root, sweep=1)[-1]
    assert middle.levels == (1, 0, 0)
    assert tree.split(middle, sweep=1)[-1].levels == (1, 1, 0)


def test_a_middle_child_shares_its_parents_centre_and_its_siblings_do_not() -> None:
    tree, root = _partition(_floats(2))
    left, right, middle = tree.split(root, sweep=1)
    assert middle.centre is root.centre
    assert left.centre is not root.centre and right.centre is not root.centre


def test_middle_children_share_their_centre_at_any_depth() -> None:
    # In floats 1/6 + 1/18 - 1/18 is not 1/6; positions are integers, so nothing drifts.
    tree, root = _partition(_floats(1))
    cell = first = tree.split(root, sweep=1)[0]
    for _ in range(20):
        cell = tree.split(cell, sweep=1)[-1]
        assert cell.centre is first.centre
        assert tree.fractions(cell) == (Fraction(1, 6),)


@pytest.mark.parametrize("k", [3, 5])
def test_leaves_tile_the_box(k: int) -> None:
    tree, _ = _partition(_floats(2), k)
    for step in range(60):  # a leaf chosen by a fixed rule
        leaves = [leaf for depth in tree.leaves for leaf in depth]
        tree.split(leaves[(step * step) % len(leaves)], sweep=1)
    leaves = [leaf for depth in tree.leaves for leaf in depth]
    boxes = [
        [
            (Fraction(p, k**n), Fraction(p + 1, k**n))
            for n, p in zip(c.levels, c.positions, strict=True)
        ]
        for c in leaves
    ]
    assert sum(math.prod(high - low for low, high in box) for box in boxes) == 1
    for one, other in itertools.combinations(boxes, 2):
        pairs = zip(one, other, strict=True)
        assert any(a[1] <= b[0] or b[1] <= a[0] for a, b in pairs)


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "int", "lower": 2, "upper": 64},
        {"type": "int", "lower": 1, "upper": 300, "log": True},
        {"type": "categorical", "choices": ["a", "b", "c", "d"]},
        {"type": "ordinal", "choices": [1, 2]},
        {"type": "constant", "value": 3},
    ],
)
def test_every_value_of_a_finite_axis_is_reached(parameter: dict[str, Any]) -> None:
    tree, _ = _partition({"x": parameter})
    _exhaust(tree)
    lower, upper = parameter.get("lower", 1), parameter.get("upper", 1)
    n_values = len(parameter.get("choices", [])) or upper - lower + 1
    assert len(tree.centres) == n_values


def test_a_cell_of_an_integer_is_not_cut_below_one_step() -> None:
    # Four values: 1/3 is wider than 1/4, 1/9 is not.
    tree, _ = _partition({"x": {"type": "int", "lower": 0, "upper": 3}})
    _exhaust(tree)
    assert {cell.levels for cell in tree.settled} == {(2,)}


def test_cells_that_hold_the_same_configurations_are_made_once() -> None:
    # Two choices a parameter: of the centres 1/6, 1/2, 5/6 the last two mean the second.
    switches = {f"s{i}": {"type": "categorical", "choices": [0, 1]} for i in range(4)}
    tree, _ = _partition(switches)
    _exhaust(tree)
    assert len(tree.settled) == len(tree.centres) == 2**4


def test_the_axis_of_an_inactive_parameter_is_not_split() -> None:
    tree, root = _partition(
        {
            "kernel": {"type": "categorical", "choices": ["rbf", "poly", "linear"]},
            "degree": {"type": "float", "lower": 2, "upper": 5, "when": {"kernel": "poly"}},
        }
    )
    rbf, linear, poly = tree.split(root, sweep=1)
    assert [c.centre.config["kernel"] for c in (rbf, linear, poly)] == ["rbf", "linear", "poly"]
    assert tree.settled == [rbf, linear]
    assert tree.split(poly, sweep=2)[0].levels == (1, 1)


def test_a_float_that_has_few_numbers_ends_too() -> None:
    # Doubles from 2^40 on are 2^-12 apart: there are five from 2^40 to 2^40 + 2^-10.
    tree, _ = _partition({"x": {"type": "float", "lower": 2.0**40, "upper": 2.0**40 + 2.0**-10}})
    _exhaust(tree)
    assert 3 <= len(tree.centres) <= 5


@pytest.mark.parametrize("k", [1, 2, 4, 3.0, True, "3"])
def test_k_is_an_odd_integer_of_at_least_three(k: Any) -> None:
    with pytest.raises(ValueError, match="k: expected an odd integer"):
        _partition(_floats(1), k)
