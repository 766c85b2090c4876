"""Find which parameters are active, and a configuration that the forbidden clauses allow."""

from collections.abc import Mapping, Sequence
from typing import Any

from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    NotEqualsCondition,
    OrConjunction,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.conditions import Conjunction
from ConfigSpace.hyperparameters import Hyperparameter

from objectives.trial import Config, Value

_STEPS = 100_000  # maximum number of values tried in the search for an allowed configuration


def is_active(space: ConfigurationSpace, name: str, active: Mapping[str, Any]) -> bool:
    """Return whether a parameter is active, given the values of the active ones before it.

    `list(space)` has parents before their children. All conditions of ConfigSpace and all their
    conjunctions are supported. A condition on an inactive parent does not hold, except for
    inequality: as in ConfigSpace, an inactive parent differs from any value.
    """
    return all(_holds(condition, active) for condition in space.parent_conditions_of[name])


def _holds(condition: Any, active: Mapping[str, Any]) -> bool:
    if isinstance(condition, Conjunction):
        some_or_all = any if isinstance(condition, OrConjunction) else all
        return some_or_all(_holds(part, active) for part in condition.components)
    if condition.parent.name not in active:
        return isinstance(condition, NotEqualsCondition)
    return bool(condition.satisfied_by_value(active))


def first_allowed(space: ConfigurationSpace, clauses: Sequence[Any]) -> Config:
    """Return the configuration nearest to the default one that no clause forbids.

    For each parameter, parents first, the default is tried first, and then the other values that
    matter to the clauses and conditions.

    Args:
        space: the space without the clauses.
        clauses: forbidden clauses of ConfigSpace that use only equality.

    Raises:
        ValueError: no combination of values satisfies the clauses.
    """
    names = list(space)
    values = {name: _candidates(space[name], _mentioned(name, clauses, space)) for name in names}
    config: dict[str, Any] = {}
    taken: list[int] = []  # the index of each parameter's value among its candidates
    place = 0  # the index of the value to try next
    for _ in range(_STEPS):
        if len(taken) == len(names):
            return config
        name = names[len(taken)]
        options = values[name] if is_active(space, name, config) else [None]
        if place == len(options):  # back to the previous parameter
            if not taken:
                break
            place = taken.pop() + 1
            config.pop(names[len(taken)], None)
            continue
        value = options[place]
        if value is not None:
            config[name] = value
        if any(clause.is_forbidden_value(config) for clause in clauses):
            config.pop(name, None)
            place += 1
        else:
            taken.append(place)
            place = 0
    raise ValueError(
        f"forbidden: expected clauses that allow some configuration, got {len(clauses)} that "
        f"forbid all"
    )


def _mentioned(name: str, clauses: Sequence[Any], space: ConfigurationSpace) -> list[Any]:
    """Return the values of a parameter that occur in clauses and conditions."""
    values: list[Any] = []
    parts = [part for clause in clauses for part in getattr(clause, "dlcs", [clause])]
    for part in parts:
        if part.hyperparameter.name == name:
            values += getattr(part, "values", None) or [part.value]
    for condition in space.child_conditions_of[name]:
        for part in getattr(condition, "dlcs", [condition]):
            if part.parent.name == name:
                values += getattr(part, "values", None) or [part.value]
    return values


def _candidates(
    parameter: "Hyperparameter[Any, Any]", mentioned: Sequence[Any]
) -> list[Value | None]:
    """Return the default and, if they matter, the mentioned values and one other value."""
    default = _plain(parameter.default_value)
    if not mentioned:
        return [default]
    others: list[Any] = []
    if isinstance(parameter, CategoricalHyperparameter):
        others = list(parameter.choices)
    elif isinstance(parameter, OrdinalHyperparameter):
        others = list(parameter.sequence)
    elif isinstance(parameter, UniformIntegerHyperparameter):
        few = range(parameter.lower, parameter.upper + 1)[: len(mentioned) + 1]
        others = [*few, *mentioned]
    elif isinstance(parameter, UniformFloatHyperparameter):
        width, n = parameter.upper - parameter.lower, len(mentioned) + 1
        others = [*(parameter.lower + width * k / n for k in range(n + 1)), *mentioned]
    plain: list[Value | None] = [default, *(_plain(value) for value in others)]
    return list(dict.fromkeys(plain))


def _plain(value: Any) -> Value:
    item = getattr(value, "item", None)
    plain: Value = value if item is None else item()
    return plain
