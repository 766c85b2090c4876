"""Describe a space in the YAML form of `objectives/space.py`, as the inverse of `build_space`.

Logs contain this description, so that a reader of a log needs no objective to draw the axes.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives.trial import Config, Value

Description = dict[str, dict[str, Any]]
"""The keys that `build_space` reads, by parameter."""


def describe(space: ConfigurationSpace) -> Description:
    """Return the parameters of a space, in the order of its axes, as plain JSON values.

    Some properties cannot be expressed in the YAML form and are left out: a distribution that is
    not uniform, and a condition that is not on the equality of parents' values.
    """
    names = (space.meta or {}).get("axes", list(space))
    return {name: {**_parameter(space[name]), **_when(space, name)} for name in names}


def forbidden(space: ConfigurationSpace) -> list[Config]:
    """Return the combinations of values that no configuration may contain."""
    configs: list[Config] = []
    for clause in space.forbidden_clauses:
        parts = [*getattr(clause, "components", (clause,))]
        options = [_values(part) for part in parts]
        if all(options):
            names = [part.hyperparameter.name for part in parts]
            combinations = itertools.product(*options)
            configs += [dict(zip(names, values, strict=True)) for values in combinations]
    return configs


def _values(part: Any) -> list[Value]:
    """Return the values named by a forbidden clause on one parameter; none for a relation."""
    if not hasattr(part, "hyperparameter"):
        return []
    values = part.values if hasattr(part, "values") else [part.value]
    return list(map(_plain, values))


def _parameter(parameter: Any) -> dict[str, Any]:
    if hasattr(parameter, "choices"):
        return {"type": "categorical", "choices": list(map(_plain, parameter.choices))}
    if hasattr(parameter, "sequence"):
        return {"type": "ordinal", "choices": list(map(_plain, parameter.sequence))}
    if hasattr(parameter, "lower"):
        lower, upper = _plain(parameter.lower), _plain(parameter.upper)
        kind = "int" if isinstance(lower, int) else "float"
        scale = {"log": True} if getattr(parameter, "log", False) else {}
        return {"type": kind, "lower": lower, "upper": upper, **scale}
    return {"type": "constant", "value": _plain(parameter.value)}


def _when(space: ConfigurationSpace, name: str) -> dict[str, Any]:
    """Return the key `when` of a parameter, or nothing if the parameter is always active."""
    when: dict[str, list[Value]] = {}
    for condition in _flat(space.parent_conditions_of[name]):
        if hasattr(condition, "values"):
            when[condition.parent.name] = list(map(_plain, condition.values))
        elif type(condition).__name__ == "EqualsCondition":
            when[condition.parent.name] = [_plain(condition.value)]
    if not when:
        return {}
    short = {parent: values if len(values) > 1 else values[0] for parent, values in when.items()}
    return {"when": short}


def _flat(conditions: Iterable[Any]) -> Iterator[Any]:
    for condition in conditions:
        if type(condition).__name__ == "AndConjunction":
            yield from _flat(condition.components)
        elif hasattr(condition, "parent"):
            yield condition


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
