"""The K-ary partition of the unit cube that SOO and BaMSOO search.

A cell is described by exact integers: on each axis it is the piece number `position` of the
K^`level` equal pieces of [0, 1]. Its centre (2·position + 1) / (2·K^level) is an exact rational
number. K is odd, so the middle child has the centre of its parent.

A cell is split into K children along its longest side; on ties, the first axis is split. If a
parameter has finitely many values, its side is split only while it is wider than the interval of
the narrowest value. Every value can then still be reached, and no cell becomes narrower than one
value. The side of a parameter that is inactive at the cell's centre is not split, because the
objective does not depend on it there. A cell that has no side to split remains a leaf. On floats
this happens when neighbouring centres would be the same number. (The paper's boxes are continuous
and can always be split.)
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from ConfigSpace import UniformFloatHyperparameter, UniformIntegerHyperparameter
from numpy.typing import NDArray

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config

_FINEST = 2.0**52  # the largest number of pieces of [0, 1] that double precision can distinguish


@dataclass(slots=True, eq=False)
class Centre:
    """A configuration at which cells are scored.

    Cells whose centres map to the same configuration share one object.

    Attributes:
        config: the configuration.
        value: its score, which is minimised; None until it is known.
        guess: the estimate that is used as the score until then.
        estimated: whether `value` is a bound from the model rather than an evaluation.
        asked: whether its evaluation has been requested.
    """

    config: Config
    value: float | None = None
    guess: float = math.inf
    estimated: bool = False
    asked: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A box of the partition.

    Attributes:
        levels: for each axis, the number of times that the side was split.
        positions: for each axis, the index of the cell among the K^level pieces.
        centre: the centre, which provides the cell's score.
        born: the number of the sweep that created the cell.
    """

    levels: tuple[int, ...]
    positions: tuple[int, ...]
    centre: Centre
    born: int

    @property
    def depth(self) -> int:
        """Return the number of splits between the root and this cell."""
        return sum(self.levels)


def odd(where: str, k: object) -> int:
    """Return the number of children per split; raise `ValueError` unless it is odd and >= 3."""
    if not expected.is_whole(k, 3) or k % 2 == 0:
        expected.refuse(where, "an odd integer of at least 3", k)
    return k


class Partition:
    """The leaves of the tree by depth, and the rules for splitting a leaf.

    Attributes:
        leaves: for each depth, the leaves that can be split, in the order of their creation.
        settled: the leaves that cannot be split.
        centres: all centres so far, by the items of their configurations.
    """

    def __init__(self, cube: UnitCube, k: int) -> None:
        k = odd("optimizer.k", k)
        self.leaves: list[list[Cell]] = [[]]
        self.settled: list[Cell] = []
        self.centres: dict[tuple[object, ...], Centre] = {}
        self._cube = cube
        self._k = k
        self._pieces = [_pieces(cube, axis) for axis in range(cube.dim)]
        self._finite = bool(np.isfinite(cube.n_values).any())
        self._regions: set[tuple[object, ...]] = set()

    def plant(self) -> Cell:
        """Create the root, which is the whole cube."""
        zeros = (0,) * self._cube.dim
        return self._place(Cell(zeros, zeros, self._centre(zeros, zeros), born=0))

    def split(self, cell: Cell, sweep: int) -> list[Cell]:
        """Replace a leaf by its children, ordered from left to right with the middle one last.

        A child is left out if it contains the same configurations as an existing cell. This is
        possible only if a parameter has finitely many values.
        """
        self.leaves[cell.depth].remove(cell)
        axis = self._longest(cell)
        assert axis is not None
        levels = _with(cell.levels, axis, cell.levels[axis] + 1)
        middle = self._k // 2
        children = []
        for piece in [*range(middle), *range(middle + 1, self._k), middle]:
            positions = _with(cell.positions, axis, cell.positions[axis] * self._k + piece)
            child = Cell(levels, positions, self._centre(levels, positions), born=sweep)
            if self._is_new(child):
                children.append(self._place(child))
        return children

    def centre_of(self, config: Config) -> Centre:
        """Return the centre object of a configuration; create it if it is new."""
        return self.centres.setdefault(tuple(config.items()), Centre(config))

    def fractions(self, cell: Cell) -> tuple[Fraction, ...]:
        """Return the exact centre of a cell in the unit cube."""
        return tuple(
            Fraction(2 * position + 1, 2 * self._k**level)
            for level, position in zip(cell.levels, cell.positions, strict=True)
        )

    def _centre(self, levels: tuple[int, ...], positions: tuple[int, ...]) -> Centre:
        # Python divides integers with correct rounding: equal rationals give equal floats.
        pairs = zip(levels, positions, strict=True)
        u = [(2 * position + 1) / (2 * self._k**level) for level, position in pairs]
        return self.centre_of(self._cube.config(u))

    def _place(self, cell: Cell) -> Cell:
        if self._longest(cell) is None:
            self.settled.append(cell)
            return cell
        while len(self.leaves) <= cell.depth:
            self.leaves.append([])
        self.leaves[cell.depth].append(cell)
        return cell

    def _longest(self, cell: Cell) -> int | None:
        """Return the first of the longest sides that can be split."""
        best = None
        for axis, level in enumerate(cell.levels):
            if best is not None and level >= cell.levels[best]:
                continue
            if self._divides(axis, level) and self._cube.names[axis] in cell.centre.config:
                best = axis
        return best

    def _divides(self, axis: int, level: int) -> bool:
        return float(self._k) ** level < self._pieces[axis]

    def _is_new(self, cell: Cell) -> bool:
        if not self._finite:
            return True
        places = zip(cell.levels, cell.positions, strict=True)
        region = tuple(
            place if self._divides(axis, place[0]) else cell.centre.config.get(name)
            for axis, (name, place) in enumerate(zip(self._cube.names, places, strict=True))
        )
        if region in self._regions:
            return False
        self._regions.add(region)
        return True


def _with(values: tuple[int, ...], axis: int, value: int) -> tuple[int, ...]:
    return (*values[:axis], value, *values[axis + 1 :])


def _pieces(cube: UnitCube, axis: int) -> float:
    """Return the length of an axis in units of its narrowest value's interval."""
    parameter = cube.space[cube.names[axis]]
    if isinstance(parameter, UniformIntegerHyperparameter) and parameter.log:
        low, high = parameter.lower - 0.5, parameter.upper + 0.5
        return math.log(high / low) / math.log(high / (high - 1))  # the largest one's share
    if isinstance(parameter, UniformFloatHyperparameter):
        ends: NDArray[np.float64] = np.array([parameter.lower, parameter.upper], dtype=float)
        scale = 1.0 if parameter.log else 0.0  # log x to 1e-16 is x to a relative 1e-16
        ends = np.log(ends) if parameter.log else ends
        resolution = np.spacing(max(float(np.abs(ends).max()), scale))
        return min(_FINEST, float((ends[1] - ends[0]) / resolution))
    return float(cube.n_values[axis])
