"""The box of continuous values that the published SOO and BaMSOO search, and its conversion.

An axis of a float is its value, of a float on a log scale its log10; an integer is relaxed to
the values between its bounds, and *truncated* (so the upper bound is met on the boundary only,
where every other integer owns a share of width 1). `objectives.space.UnitCube` rounds instead, in
equal shares: that is the suite's map, this is the study's. An axis of choices is [0, 1] in equal
shares, which the study does not have.
"""

import math
from dataclasses import dataclass

import numpy as np
from ConfigSpace import ConfigurationSpace, UniformFloatHyperparameter, UniformIntegerHyperparameter
from numpy.typing import NDArray

from objectives.space import UnitCube
from objectives.trial import Config, Value

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Numeric:
    """The natural bounds and the kind of a numeric axis."""

    lower: float
    upper: float
    log: bool
    integer: bool

    def value(self, relaxed: float) -> Value:
        natural = 10.0**relaxed if self.log else relaxed
        if self.integer:
            return min(max(int(natural), int(self.lower)), int(self.upper))
        return float(min(max(natural, self.lower), self.upper))

    def relaxed(self, value: Value) -> float:
        assert not isinstance(value, str)
        return math.log10(value) if self.log else float(value)


class RelaxedBox:
    """The map between configurations and relaxed points `x` (dim,).

    Attributes:
        lower, upper: (dim,) the box.
    """

    def __init__(self, space: ConfigurationSpace) -> None:
        self._cube = UnitCube(space)
        self.names = self._cube.names
        self._numeric = [_numeric(space, name) for name in self.names]
        bounds = [
            (axis.relaxed(axis.lower), axis.relaxed(axis.upper)) if axis else (0.0, 1.0)
            for axis in self._numeric
        ]
        self.lower, self.upper = np.array(bounds, dtype=float).T
        one_value = self._cube.n_values == 1
        self.lower[one_value] = self.upper[one_value] = 0.5

    def config(self, x: Vector) -> Config:
        """Return the configuration that a relaxed point `x` (dim,) is evaluated as."""
        u = [
            self._cube.point({name: axis.value(place)})[i] if axis else place
            for i, (name, axis, place) in enumerate(
                zip(self.names, self._numeric, x.tolist(), strict=True)
            )
        ]
        config = self._cube.config(np.array(u))  # decides what is active
        for name, axis, place in zip(self.names, self._numeric, x.tolist(), strict=True):
            if axis is not None and name in config:
                config[name] = axis.value(place)
        return config

    def point(self, config: Config) -> Vector:
        """Return a relaxed point (dim,) of a configuration; the middle where one is inactive."""
        middle = (self.lower + self.upper) / 2
        u = self._cube.point(config)
        return np.array(
            [
                middle[i] if name not in config else axis.relaxed(config[name]) if axis else u[i]
                for i, (name, axis) in enumerate(zip(self.names, self._numeric, strict=True))
            ]
        )

    def allows(self, config: Config) -> bool:
        """Return whether no forbidden clause holds."""
        return self._cube.allows(config)

    def difference(self, first: Config, second: Config) -> float:
        """Return the sum of absolute differences of the converted values.

        As the study compares centres: natural units, rates not as logarithms. Another choice,
        and a parameter that is active on one side only, count 1.
        """
        total = 0.0
        for name, axis in zip(self.names, self._numeric, strict=True):
            a, b = first.get(name), second.get(name)
            if axis is None or a is None or b is None:
                total += float(a != b)
            else:
                assert not isinstance(a, str) and not isinstance(b, str)
                total += abs(a - b)
        return total


def _numeric(space: ConfigurationSpace, name: str) -> _Numeric | None:
    """Return the axis of a number with a range, None for choices and constants."""
    parameter = space[name]
    if isinstance(parameter, UniformFloatHyperparameter | UniformIntegerHyperparameter):
        integer = isinstance(parameter, UniformIntegerHyperparameter)
        return _Numeric(parameter.lower, parameter.upper, bool(parameter.log), integer)
    return None
