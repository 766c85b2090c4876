"""Convert the short descriptions of a space to the objects of ConfigSpace.

The descriptions are those of `objectives.space`. Each error names the part that is wrong.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ConfigSpace import (
    AndConjunction,
    ConfigurationSpace,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenInClause,
    InCondition,
)
from ConfigSpace.forbidden import ForbiddenClause

from objectives.parameters import hyperparameter
from objectives.trial import Value


def expect_shape(parameters: object, forbidden: object) -> None:
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


def declared(
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


def clause_of(
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
