"""One axis of the unit cube: the map between a parameter's values and [0, 1]."""

import math
from typing import Any

from ConfigSpace import (
    CategoricalHyperparameter,
    Constant,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter

from objectives.trial import Value


class Axis:
    """One parameter's axis of the cube; the docstring of `UnitCube` states the rules.

    Attributes:
        n_values: the number of distinct values; inf if the parameter is continuous.
    """

    def __init__(self, parameter: "Hyperparameter[Any, Any]") -> None:
        self._choices: list[Value] | None = None
        self._integer = isinstance(parameter, UniformIntegerHyperparameter)
        if isinstance(parameter, (UniformFloatHyperparameter, UniformIntegerHyperparameter)):
            half = 0.5 if self._integer else 0.0
            self._bounds = (parameter.lower, parameter.upper)
            self._log = bool(parameter.log)
            low, high = parameter.lower - half, parameter.upper + half
            self._low, self._high = (math.log(low), math.log(high)) if self._log else (low, high)
            count = parameter.upper - parameter.lower + 1
            self.n_values = float(count) if self._integer else math.inf
        elif isinstance(parameter, (CategoricalHyperparameter, OrdinalHyperparameter, Constant)):
            if isinstance(parameter, CategoricalHyperparameter):
                self._choices = list(parameter.choices)
            elif isinstance(parameter, OrdinalHyperparameter):
                self._choices = list(parameter.sequence)
            else:
                self._choices = [parameter.value]
            self.n_values = float(len(self._choices))
        else:
            kind = type(parameter).__name__
            raise ValueError(
                f"space.{parameter.name}: expected a uniform, categorical, ordinal or constant "
                f"parameter, got {kind}"
            )

    def value(self, x: float) -> Value:
        """Return the natural value at the coordinate `x` in [0, 1]."""
        if self._choices is not None:
            return self._choices[min(int(x * len(self._choices)), len(self._choices) - 1)]
        natural = self._low + x * (self._high - self._low)
        natural = math.exp(natural) if self._log else natural
        if self._integer:
            natural = math.floor(natural + 0.5)
        return min(max(natural, self._bounds[0]), self._bounds[1])

    def place(self, value: Value) -> float:
        """Return the coordinate in [0, 1] of a natural value."""
        if self._choices is not None:
            return (self._choices.index(value) + 0.5) / len(self._choices)
        assert not isinstance(value, str)
        if self._integer and self._log:  # the middle of its share
            ends = [math.log(value - 0.5), math.log(value + 0.5)]
            natural = sum(ends) / 2
        else:
            natural = math.log(value) if self._log else float(value)
        return min(max((natural - self._low) / (self._high - self._low), 0.0), 1.0)
