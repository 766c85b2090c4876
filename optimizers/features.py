"""The inputs of a Gaussian process over the unit cube of a mixed, conditional space.

The kernel is evaluated at rounded inputs (Garrido-Merchan & Hernandez-Lobato, Neurocomputing
2020): a unit point is first moved to the configuration that it stands for, so that a posterior is
constant over one integer's share and over the axis of an inactive parameter. A numeric or ordinal
axis is one column. A categorical axis is one column per choice, scaled so that two different
choices are at distance one. A constant has no column.

Main effects, of which a kernel may hold a linear combination, have mean 0 and variance 1 over the
cube. Of a numeric axis they are, with t = 2 x - 1,

    linear     sqrt(3) t
    quadratic  (t^2 - 1/3) / sqrt(4/45)

and of a categorical axis with c choices the c indicators less 1/c, over sqrt(1 - 1/c).
"""

import math

import numpy as np
from numpy.typing import NDArray

from objectives.space import UnitCube

Matrix = NDArray[np.float64]

_QUADRATIC_DEVIATION = math.sqrt(4 / 45)


class Features:
    """The map from unit points to columns.

    Attributes:
        column_of: (dim,) for each axis of the cube the column that equals its coordinate, -1 where
            there is none.
        axis_of: (columns,) the number of the length scale of each column.
        n_axes: how many length scales there are.
        numeric: (numeric columns,) the columns that are coordinates.
    """

    def __init__(self, cube: UnitCube) -> None:
        self._cube = cube
        self._rounds = bool(np.isfinite(cube.n_values).any() or cube.space.conditions)
        self.column_of = np.full(cube.dim, -1)
        axis_of: list[int] = []
        self.n_axes = 0
        middle: list[float] = []
        slope: list[float] = []
        for axis, count in enumerate(cube.n_values.tolist()):
            if count == 1:
                continue
            if cube.categorical[axis]:
                # A column holds e / sqrt(2), e the indicator.
                axis_of += [self.n_axes] * int(count)
                middle += [1 / count / math.sqrt(2)] * int(count)
                slope += [math.sqrt(2) / math.sqrt(1 - 1 / count)] * int(count)
            else:
                self.column_of[axis] = len(axis_of)
                axis_of.append(self.n_axes)
                middle.append(0.5)
                slope.append(2 * math.sqrt(3))
            self.n_axes += 1
        if not axis_of:  # constants only: one column of zeros
            axis_of, middle, slope, self.n_axes = [0], [0.0], [1.0], 1
        self.axis_of = np.array(axis_of)
        self.numeric = self.column_of[self.column_of >= 0]
        self._middle, self.slope = np.array(middle), np.array(slope)
        self._all_numeric = len(self.numeric) == cube.dim

    @property
    def n_columns(self) -> int:
        """Return how many columns there are."""
        return len(self.axis_of)

    def of(self, u: Matrix) -> Matrix:
        """Return the columns (m, columns) of any unit points (m, dim)."""
        points = np.asarray(u, dtype=np.float64).reshape(-1, self._cube.dim)
        if self._rounds:
            points = np.array([self._cube.snap(point) for point in points]).reshape(points.shape)
        return self.of_snapped(points)

    def of_snapped(self, points: Matrix) -> Matrix:
        """Return the columns (m, columns) of points (m, dim) that `UnitCube.snap` returned."""
        if self._all_numeric:
            return points
        blocks = [np.zeros((len(points), 0))]
        for axis, count in enumerate(self._cube.n_values):
            if self._cube.categorical[axis] and count > 1:
                choice = np.minimum(points[:, axis] * count, count - 1).astype(int)
                blocks.append(np.eye(int(count))[choice] / math.sqrt(2))
            elif count > 1:
                blocks.append(points[:, axis : axis + 1])
        columns = np.concatenate(blocks, axis=1)
        return columns if columns.shape[1] else np.zeros((len(points), 1))

    def linear(self, x: Matrix) -> Matrix:
        """Return the linear main effects (m, columns) of columns x; their slope is `slope`."""
        effects: Matrix = (x - self._middle) * self.slope
        return effects

    def quadratic(self, x: Matrix) -> Matrix:
        """Return the quadratic main effects (m, numeric columns)."""
        t = 2 * x[:, self.numeric] - 1
        effects: Matrix = (t * t - 1 / 3) / _QUADRATIC_DEVIATION
        return effects

    def quadratic_slope(self, x: Matrix) -> Matrix:
        """Return the derivative (m, numeric columns) of the quadratic effects by the columns."""
        return (8 * x[:, self.numeric] - 4) / _QUADRATIC_DEVIATION
