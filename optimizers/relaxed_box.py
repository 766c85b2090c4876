"""The box of continuous values that the published SOO and BaMSOO search, and its conversion.

The coordinate of a float is its value, and that of a float on a log scale is its log10. An integer
is relaxed to the real values between its bounds and then *truncated*. Every integer except the
upper bound therefore has an interval of width 1, and the upper bound is reached only on the
boundary. This is the rule of the study; `objectives.space.UnitCube` instead rounds, with equal
intervals. The study has no categorical parameters; here their axis is [0, 1], divided equally.
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
    """The bounds in natural units and the type of a numeric axis."""

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
        lower, upper: the bounds of the box, shape (dim,).
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
        """Return the configuration at which a relaxed point `x` (dim,) is evaluated."""
        u = [
            self._cube.point({name: axis.value(place)})[i] if axis else place
            for i, (name, axis, place) in enumerate(
                zip(self.names, self._numeric, x.tolist(), strict=True)
            )
        ]
        config = self._cube.config(np.array(u))  # determines which parameters are active
        for name, axis, place in zip(self.names, self._numeric, x.tolist(), strict=True):
            if axis is not None and name in config and name not in self._cube.listed:
                config[name] = axis.value(place)
        return config

    def point(self, config: Config) -> Vector:
        """Return a relaxed point (dim,) of a configuration; inactive axes are at the middle."""
        middle = (self.lower + self.upper) / 2
        u = self._cube.point(config)
        return np.array(
            [
                middle[i] if name not in config else axis.relaxed(config[name]) if axis else u[i]
                for i, (name, axis) in enumerate(zip(self.names, self._numeric, strict=True))
            ]
        )

    def allows(self, config: Config) -> bool:
        """Return whether the space allows the configuration."""
        return self._cube.allows(config)

    def difference(self, first: Config, second: Config) -> float:
        """Return the sum of absolute differences of the converted values.

        This is how the study compares centres: in natural units, without logarithms. A different
        choice counts 1, and so does a parameter that is active in only one of the two.
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
    """Return the axis of a numeric parameter, or None for choices and constants."""
    parameter = space[name]
    if isinstance(parameter, UniformFloatHyperparameter | UniformIntegerHyperparameter):
        integer = isinstance(parameter, UniformIntegerHyperparameter)
        return _Numeric(parameter.lower, parameter.upper, bool(parameter.log), integer)
    return None
