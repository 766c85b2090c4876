"""Search spaces from short YAML, and the map between configurations and the unit cube.

A space is described by one mapping per parameter:

    learning_rate: {type: float, lower: 1e-10, upper: 1e-1, log: true}
    lora_rank:     {type: int, lower: 2, upper: 64}
    kernel:        {type: categorical, choices: [rbf, poly]}
    level:         {type: ordinal, choices: [low, middle, high]}
    margin:        {type: constant, value: 3}
    degree:        {type: int, lower: 2, upper: 5, when: {kernel: poly}}     # or [a, b]
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenInClause,
    InCondition,
)
from ConfigSpace.forbidden import ForbiddenClause
from numpy.typing import NDArray

from objectives.axis import Axis
from objectives.conditions import first_allowed, is_active
from objectives.parameters import KEYS, expect_type, hyperparameter
from objectives.trial import Config, Value

Rule = Callable[[Config], bool]
"""Returns whether a configuration satisfies a rule."""

_DRAWS = 100_000  # random points, at least one of which has to be allowed


def build_space(
    parameters: Mapping[str, Mapping[str, Any]],
    forbidden: Sequence[Mapping[str, Any]] = (),
    types: Mapping[str, type] = MappingProxyType({}),
) -> ConfigurationSpace:
    """Build a ConfigSpace space; the parameters keep their order as the axes of the unit cube.

    Args:
        parameters: one description per parameter, as in the module's docstring.
        forbidden: combinations of values that no configuration may contain; as in `when`, a list
            stands for any of its values. If they forbid ConfigSpace's default configuration,
            another one becomes the default.
        types: the type of all values of a parameter: bool, int, float or str.

    Raises:
        ValueError: a description is incomplete, contradictory, or has an unknown key, a value is
            not of the parameter's type, or the clauses forbid everything.
    """
    _expect_shape(parameters, forbidden)
    space = _declared(parameters, {})
    for name, kind in types.items():
        if name in parameters:
            expect_type(f"space.{name}", parameters[name], kind)
    if forbidden:
        default = first_allowed(space, [_clause(space, clause) for clause in forbidden])
        space = _declared(parameters, default)
        space.add(*(_clause(space, clause) for clause in forbidden))
    return space


def _expect_shape(parameters: object, forbidden: object) -> None:
    """Raise `ValueError` unless a description of a space has the right overall shape."""
    if not isinstance(parameters, Mapping):
        raise ValueError(f"space: expected parameters with their keys, got {parameters!r}")
    if not parameters:
        raise ValueError("space: expected at least one parameter, got none")
    for name in parameters:
        if not isinstance(name, str) or not name:
            raise ValueError(f"space: expected names that are text, got {name!r}")
    if not isinstance(forbidden, (list, tuple)):
        raise ValueError(f"forbidden: expected a list of combinations, got {forbidden!r}")


def _declared(
    parameters: Mapping[str, Mapping[str, Any]], default: Mapping[str, Value]
) -> ConfigurationSpace:
    """Return the space of the parameters and their conditions, with their defaults."""
    space = ConfigurationSpace(meta={"axes": list(parameters)})
    for name, description in parameters.items():
        _expect_mapping(f"space.{name}", description)
        with _named(f"space.{name}"):
            space.add(hyperparameter(name, description, default.get(name)))
    for name, description in parameters.items():
        when = description.get("when") or {}
        _expect_mapping(f"space.{name}.when", when)
        conditions = [_condition(space, name, parent, when[parent]) for parent in when]
        with _named(f"space.{name}.when"):
            if len(conditions) > 1:
                space.add(AndConjunction(*conditions))
            elif conditions:
                space.add(conditions[0])
    return space


def _clause(
    space: ConfigurationSpace, clause: Mapping[str, Any]
) -> ForbiddenClause | ForbiddenAndConjunction:
    """Return a combination of values as a forbidden clause of ConfigSpace."""
    _expect_mapping("forbidden", clause)
    where = f"forbidden {dict(clause)}"
    parts = []
    for name, values in clause.items():
        if name not in space:
            raise ValueError(f"{where}: expected parameters of {list(space)}, got {name}")
        many = list(values) if isinstance(values, (list, tuple)) else [values]
        if not many:
            raise ValueError(f"{where}: expected at least one value of {name}, got none")
        with _named(where):
            parts.append(
                ForbiddenEqualsClause(space[name], many[0])
                if len(many) == 1
                else ForbiddenInClause(space[name], many)
            )
    return ForbiddenAndConjunction(*parts) if len(parts) > 1 else parts[0]


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Convert the various exceptions of ConfigSpace into a `ValueError` that names the place."""
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
    """Return the condition that a parent has one of several values."""
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


def is_whole(description: Mapping[str, Any]) -> bool:
    """Return whether a description has all the keys that its type needs."""
    kind = description.get("type")
    return isinstance(kind, str) and kind in KEYS and KEYS[kind] - {"log"} <= set(description)


def constants(space: ConfigurationSpace) -> Config:
    """Return the parameters of a space that are constants, with their values."""
    found = {name: parameter for name, parameter in space.items() if hasattr(parameter, "value")}
    return plain({name: parameter.value for name, parameter in found.items()})


def check(space: ConfigurationSpace, config: Config) -> None:
    """Raise `ValueError`, naming what is wrong, unless `config` is a point of `space`."""
    try:
        Configuration(space, values=config)
    except Exception as error:  # ConfigSpace raises a different type for each fault
        reason = " ".join(str(error).split())
        raise ValueError(f"config: expected a point of the space, got {config}: {reason}") from None


def holds(space: ConfigurationSpace, config: Config) -> bool:
    """Return whether `config` is a point of `space`."""
    try:
        check(space, config)
    except ValueError:
        return False
    return True


def plain(config: Mapping[str, Any]) -> Config:
    """Return `config` with numpy's scalars converted to plain Python values."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in config.items()
    }


def add_rules(space: ConfigurationSpace, *rules: Rule) -> None:
    """Attach rules to a space: predicates of configurations, known before any evaluation.

    A configuration that violates a rule is a point of the space, and an objective refuses it at no
    cost. `UnitCube.allows` and `UnitCube.draw` follow the rules, so that no optimizer asks for such
    a configuration.

    Args:
        space: the space; all cubes created from it afterwards follow the rules.
        rules: functions that return whether a configuration satisfies the rule. They can be pickled
            and never raise.
    """
    space.meta = {**(space.meta or {}), "rules": (*rules_of(space), *rules)}


def rules_of(space: ConfigurationSpace) -> tuple[Rule, ...]:
    """Return the rules of a space."""
    rules: tuple[Rule, ...] = (space.meta or {}).get("rules", ())
    return rules


class UnitCube:
    """The map between configurations and unit points `u` (dim,) in [0, 1]^dim.

    There is one axis per parameter, in the order of their declaration. Floats are linear, or linear
    in the logarithm. Every integer and every choice owns an equal share of [0, 1] and maps back to
    the middle of its share; on a log scale, the share of an integer k is that of [k - 1/2, k + 1/2]
    in the logarithm. Ordinal and categorical parameters are in the order of their choices. The
    coordinate of an inactive parameter, or of a constant, is 1/2.

    Attributes:
        dim: number of axes.
        names: the parameter of each axis.
        n_values: (dim,) number of different values on each axis; inf if continuous.
        categorical: (dim,) whether the values of an axis have no order.
    """

    def __init__(self, space: ConfigurationSpace) -> None:
        self.space = space
        axes = (space.meta or {}).get("axes", list(space))
        self.names: list[str] = list(axes)
        self.dim = len(self.names)
        self._axes = [Axis(space[name]) for name in self.names]
        self.n_values = np.array([axis.n_values for axis in self._axes])
        self.categorical = np.array(
            [isinstance(space[name], CategoricalHyperparameter) for name in self.names]
        )
        self._conditional = bool(space.conditions)
        self._rules = rules_of(space)
        order = {name: place for place, name in enumerate(space)}  # parents before children
        self._topological = sorted(range(self.dim), key=lambda axis: order[self.names[axis]])

    def config(self, u: NDArray[np.float64] | Sequence[float]) -> Config:
        """Return the configuration at `u` (dim,), without the inactive parameters.

        Forbidden combinations and violations of rules are returned too; `allows` checks them.

        Raises:
            ValueError: `u` has another shape or lies outside the cube.
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
            if self.is_active(name, active):
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
        """Return the unit point of the configuration that `u` (dim,) maps to."""
        return self.point(self.config(u))

    def is_active(self, name: str, active: Mapping[str, Any]) -> bool:
        """Return whether a parameter is active, given the values of the active ones.

        Only its parents matter, which precede it in `list(space)`.
        """
        return is_active(self.space, name, active)

    def allows(self, config: Config) -> bool:
        """Return whether an optimizer may ask for a configuration of this cube.

        It may if no forbidden clause holds and the configuration satisfies the space's rules.
        """
        if any(clause.is_forbidden_value(config) for clause in self.space.forbidden_clauses):
            return False
        return all(rule(config) for rule in self._rules)

    def draw(self, rng: np.random.Generator, n: int = 1) -> NDArray[np.float64]:
        """Draw `n` unit points (n, dim) whose configurations are allowed, uniformly.

        An optimizer draws one allowed configuration in two lines:

            (u,) = cube.draw(rng)
            config = cube.config(u)

        Raises:
            ValueError: none of a large number of consecutive points is allowed.
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
