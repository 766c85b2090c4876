"""Search spaces from short YAML, and the one map between a configuration and the unit cube.

A space is described by one mapping per parameter:

    learning_rate: {type: float, lower: 1e-10, upper: 1e-1, log: true}
    lora_rank:     {type: int, lower: 2, upper: 64}
    kernel:        {type: categorical, choices: [rbf, poly]}
    level:         {type: ordinal, choices: [low, middle, high]}
    margin:        {type: constant, value: 3}
    degree:        {type: int, lower: 2, upper: 5, when: {kernel: poly}}     # or [a, b]
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    InCondition,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter
from numpy.typing import NDArray

from objectives.trial import Config, Value

_KEYS = {
    "float": {"lower", "upper", "log"},
    "int": {"lower", "upper", "log"},
    "categorical": {"choices"},
    "ordinal": {"choices"},
    "constant": {"value"},
}

_DRAWS = 100_000  # random points, of which one has to be allowed

_LARGEST = 1e15  # of a bound's size: integers beyond are not exact as floats


def build_space(
    parameters: Mapping[str, Mapping[str, Any]],
    forbidden: Sequence[Mapping[str, Value]] = (),
) -> ConfigurationSpace:
    """Build a ConfigSpace space; the parameters keep their order as the axes of the unit cube.

    Args:
        parameters: one description per parameter, as in the module's docstring.
        forbidden: combinations of values that no configuration may hold.

    Raises:
        ValueError: a description is incomplete, contradictory, or has an unknown key.
    """
    if not parameters:
        raise ValueError("space: expected at least one parameter, got none")
    space = ConfigurationSpace(meta={"axes": list(parameters)})
    for name, description in parameters.items():
        _expect_mapping(f"space.{name}", description)
        with _named(f"space.{name}"):
            space.add(_hyperparameter(name, description))
    for name, description in parameters.items():
        when = description.get("when") or {}
        _expect_mapping(f"space.{name}.when", when)
        conditions = [_condition(space, name, parent, when[parent]) for parent in when]
        with _named(f"space.{name}.when"):
            if len(conditions) > 1:
                space.add(AndConjunction(*conditions))
            elif conditions:
                space.add(conditions[0])
    for clause in forbidden:
        _expect_mapping("forbidden", clause)
        with _named(f"forbidden {dict(clause)}"):
            parts = [ForbiddenEqualsClause(space[key], value) for key, value in clause.items()]
            space.add(ForbiddenAndConjunction(*parts) if len(parts) > 1 else parts[0])
    return space


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Turn whatever ConfigSpace raises, of many types, into a `ValueError` that says where."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        prefix = "" if reason.startswith("space.") else f"{where}: expected a legal space, got: "
        raise ValueError(prefix + reason) from None


def _expect_mapping(where: str, value: object) -> None:
    if not isinstance(value, Mapping) or (where == "forbidden" and not value):
        raise ValueError(f"{where}: expected keys with values, got {value!r}")


def _condition(
    space: ConfigurationSpace, name: str, parent: str, values: Any
) -> EqualsCondition | InCondition:
    """Return the condition that a parent has one of some values."""
    many = list(values) if isinstance(values, (list, tuple)) else [values]
    where = f"space.{name}.when"
    if parent not in space or parent == name:
        raise ValueError(f"{where}: expected another one of {list(space)}, got {parent}")
    if not many:
        raise ValueError(f"{where}.{parent}: expected at least one value, got none")
    with _named(f"{where}.{parent}"):
        if len(many) == 1:
            return EqualsCondition(space[name], space[parent], many[0])
        return InCondition(space[name], space[parent], many)


def _hyperparameter(name: str, description: Mapping[str, Any]) -> "Hyperparameter[Any, Any]":
    where = f"space.{name}"
    kind = description.get("type")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise ValueError(f"{where}.type: expected one of {list(_KEYS)}, got {kind}")
    allowed = _KEYS[kind] | {"type", "when"}
    unknown = [key for key in description if key not in allowed]
    if unknown:
        raise ValueError(f"{where}: expected the keys {sorted(allowed)}, got {unknown[0]}")
    if kind == "constant":
        return Constant(name, _plain_values(f"{where}.value", [description.get("value")])[0])
    if kind in ("categorical", "ordinal"):
        choices = description.get("choices")
        if not isinstance(choices, (list, tuple)) or not choices:
            raise ValueError(f"{where}.choices: expected a list of values, got {choices}")
        values = _plain_values(f"{where}.choices", list(choices))
        if kind == "categorical":
            return CategoricalHyperparameter(name, values)
        return OrdinalHyperparameter(name, values)
    lower, upper = description.get("lower"), description.get("upper")
    log = description.get("log", False)
    numeric = (int,) if kind == "int" else (int, float)
    for key, bound in (("lower", lower), ("upper", upper)):
        if isinstance(bound, bool) or not isinstance(bound, numeric) or not abs(bound) <= _LARGEST:
            raise ValueError(f"{where}.{key}: expected a finite {kind}, got {bound!r}")
    if not isinstance(log, bool):
        raise ValueError(f"{where}.log: expected true or false, got {log!r}")
    assert isinstance(lower, (int, float)) and isinstance(upper, (int, float))
    if lower > upper:
        raise ValueError(f"{where}: expected lower <= upper, got {lower} > {upper}")
    if log and lower <= 0:
        raise ValueError(f"{where}.lower: expected a positive bound on a log scale, got {lower}")
    if lower == upper:
        return Constant(name, lower)
    if kind == "int":
        return UniformIntegerHyperparameter(name, int(lower), int(upper), log=log)
    return UniformFloatHyperparameter(name, float(lower), float(upper), log=log)


def _plain_values(where: str, values: list[Any]) -> list[Value]:
    """Return the values, or raise where JSON would not give one back as it is."""
    for value in values:
        if not isinstance(value, (bool, int, float, str)):
            raise ValueError(f"{where}: expected true, false, numbers or text, got {value!r}")
    return values


def check(space: ConfigurationSpace, config: Config) -> None:
    """Raise `ValueError`, naming what is wrong, unless `config` is a point of `space`."""
    try:
        Configuration(space, values=config)
    except Exception as error:  # ConfigSpace raises a different type for each fault
        reason = " ".join(str(error).split())
        raise ValueError(f"config: expected a point of the space, got {config}: {reason}") from None


def plain(config: Mapping[str, Any]) -> Config:
    """Return `config` with numpy's scalars as plain Python values."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in config.items()
    }


class UnitCube:
    """The map between configurations and unit points `u` (dim,) in [0, 1]^dim.

    One axis per parameter, in the order of their declaration. Floats are linear, or linear in
    the logarithm. Every integer and every choice owns an equal share of [0, 1] (an integer on
    a log scale the share of [k - 1/2, k + 1/2] in the logarithm) and maps back to the middle
    of it; ordinals and categoricals in the order of their choices. The axis of an inactive
    parameter, or of a constant, is at 1/2.

    Attributes:
        dim: number of axes.
        names: the parameter of each axis.
        n_values: (dim,) number of different values on each axis; inf where continuous.
        categorical: (dim,) whether the values of an axis have no order.
    """

    def __init__(self, space: ConfigurationSpace) -> None:
        self.space = space
        axes = (space.meta or {}).get("axes", list(space))
        self.names: list[str] = list(axes)
        self.dim = len(self.names)
        self._axes = [_Axis(space[name]) for name in self.names]
        self.n_values = np.array([axis.n_values for axis in self._axes])
        self.categorical = np.array(
            [isinstance(space[name], CategoricalHyperparameter) for name in self.names]
        )
        self._conditional = bool(space.conditions)
        order = {name: place for place, name in enumerate(space)}  # parents before children
        self._topological = sorted(range(self.dim), key=lambda axis: order[self.names[axis]])

    def config(self, u: NDArray[np.float64] | Sequence[float]) -> Config:
        """Return the configuration whose share of the cube holds `u` (dim,); inactive ones absent.

        A forbidden combination is returned as it is: ask `allows`.

        Raises:
            ValueError: `u` has another shape or leaves the cube.
        """
        point = np.asarray(u, dtype=float)
        if point.shape != (self.dim,) or not (np.all(point >= 0) and np.all(point <= 1)):
            raise ValueError(f"unit point: expected ({self.dim},) values in [0, 1], got {u}")
        values = [axis.value(x) for axis, x in zip(self._axes, point.tolist(), strict=True)]
        if not self._conditional:
            return dict(zip(self.names, values, strict=True))
        active: Config = {}
        for axis in self._topological:
            name = self.names[axis]
            conditions = self.space.parent_conditions_of[name]
            if all(_holds(condition, active) for condition in conditions):
                active[name] = values[axis]
        return {name: active[name] for name in self.names if name in active}

    def point(self, config: Config) -> NDArray[np.float64]:
        """Return the unit point (dim,) of a configuration."""
        return np.array(
            [
                axis.place(config[name]) if name in config else 0.5
                for name, axis in zip(self.names, self._axes, strict=True)
            ]
        )

    def snap(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the unit point of the configuration that `u` (dim,) stands for."""
        return self.point(self.config(u))

    def allows(self, config: Config) -> bool:
        """Return whether no forbidden clause holds for a configuration of this cube."""
        return not any(clause.is_forbidden_value(config) for clause in self.space.forbidden_clauses)

    def draw(self, rng: np.random.Generator, n: int = 1) -> NDArray[np.float64]:
        """Draw `n` unit points (n, dim) whose configurations are allowed, uniformly.

        An optimizer draws one configuration that it may ask in two lines:

            (u,) = cube.draw(rng)
            config = cube.config(u)

        Raises:
            ValueError: none of very many points in a row is allowed.
        """
        return np.array([self._draw(rng) for _ in range(n)]).reshape(n, self.dim)

    def _draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        for _ in range(_DRAWS):
            point = rng.random(self.dim)
            if self.allows(self.config(point)):
                return point
        raise ValueError(
            f"space: expected configurations that are allowed, got none in {_DRAWS} random ones; "
            f"forbid less"
        )


def _holds(condition: Any, active: Config) -> bool:
    """Return whether a condition holds; one on an inactive parent does not."""
    if isinstance(condition, AndConjunction):
        return all(_holds(part, active) for part in condition.components)
    return condition.parent.name in active and bool(condition.satisfied_by_value(active))


class _Axis:
    """One parameter's piece of the cube."""

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
        """Return the natural value at the place `x` in [0, 1]."""
        if self._choices is not None:
            return self._choices[min(int(x * len(self._choices)), len(self._choices) - 1)]
        natural = self._low + x * (self._high - self._low)
        natural = math.exp(natural) if self._log else natural
        if self._integer:
            natural = math.floor(natural + 0.5)
        return min(max(natural, self._bounds[0]), self._bounds[1])

    def place(self, value: Value) -> float:
        """Return the place in [0, 1] of a natural value."""
        if self._choices is not None:
            return (self._choices.index(value) + 0.5) / len(self._choices)
        assert not isinstance(value, str)
        if self._integer and self._log:  # the middle of its share
            ends = [math.log(value - 0.5), math.log(value + 0.5)]
            natural = sum(ends) / 2
        else:
            natural = math.log(value) if self._log else float(value)
        return min(max((natural - self._low) / (self._high - self._low), 0.0), 1.0)
