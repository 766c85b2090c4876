"""The inputs of a Gaussian process over the unit cube of a mixed, conditional space.

The kernel is evaluated at rounded inputs (Garrido-Merchan & Hernandez-Lobato, Neurocomputing
2020): a unit point is first moved to the configuration that it represents. A posterior is therefore
constant over the interval of one integer and along the axis of an inactive parameter. A numeric or
ordinal axis has one column. A categorical axis has one column per choice, scaled so that two
different choices are at distance one. A constant has no column.

A kernel may contain a linear combination of main effects. They have mean 0 and variance 1 over the
cube. For a numeric axis, with t = 2 x - 1, they are

    linear     sqrt(3) t
    quadratic  (t^2 - 1/3) / sqrt(4/45)

and for a categorical axis with c choices they are the c indicators minus 1/c, divided by
sqrt(1 - 1/c).
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
        column_of: the column that equals the coordinate of each axis of the cube, or -1 if there is
            no such column, shape (dim,).
        axis_of: the index of the length scale of each column, shape (columns,).
        n_axes: the number of length scales.
        numeric: the columns that are coordinates, shape (numeric columns,).
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
                # The column is e / sqrt(2), where e is the indicator of the choice.
                axis_of += [self.n_axes] * int(count)
                middle += [1 / count / math.sqrt(2)] * int(count)
                slope += [math.sqrt(2) / math.sqrt(1 - 1 / count)] * int(count)
            else:
                self.column_of[axis] = len(axis_of)
                axis_of.append(self.n_axes)
                middle.append(0.5)
                slope.append(2 * math.sqrt(3))
            self.n_axes += 1
        if not axis_of:  # all parameters are constant: use one column of zeros
            axis_of, middle, slope, self.n_axes = [0], [0.0], [1.0], 1
        self.axis_of = np.array(axis_of)
        self.numeric = self.column_of[self.column_of >= 0]
        self._middle, self.slope = np.array(middle), np.array(slope)
        self._all_numeric = len(self.numeric) == cube.dim

    @property
    def n_columns(self) -> int:
        """Return the number of columns."""
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
        """Return the linear main effects (m, columns) of columns x; their derivative is `slope`."""
        effects: Matrix = (x - self._middle) * self.slope
        return effects

    def quadratic(self, x: Matrix) -> Matrix:
        """Return the quadratic main effects (m, numeric columns)."""
        t = 2 * x[:, self.numeric] - 1
        effects: Matrix = (t * t - 1 / 3) / _QUADRATIC_DEVIATION
        return effects

    def quadratic_slope(self, x: Matrix) -> Matrix:
        """Return the derivatives (m, numeric columns) of the quadratic effects."""
        return (8 * x[:, self.numeric] - 4) / _QUADRATIC_DEVIATION
