"""The search space of runs: as their headers state it, or inferred from what was evaluated."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ConfigSpace import ConfigurationSpace

from experiments.analysis.results import Run
from experiments.running.header import Header
from objectives.space import UnitCube, build_space
from objectives.trial import Config

_MARGIN = 1e-9  # by which the bounds of an inferred float are wider, as a share
_STEPS = 1e13  # ConfigSpace keeps 13 decimals of a bound
_LOG_RANGE = 1e3  # upper / lower from which an inferred positive parameter gets a log scale


def space_of(runs: Sequence[Run]) -> ConfigurationSpace:
    """Return the space of runs on one objective.

    Raises:
        ValueError: the header describes no legal space.
    """
    return space_for(runs[0].header, [config for run in runs for config in run.configs])


def space_for(header: Header, configs: Sequence[Config]) -> ConfigurationSpace:
    """Return the space that a header states if it contains every one of the configurations.

    Otherwise return the smallest space that does.

    Raises:
        ValueError: the header describes no legal space.
    """
    if header.space:
        stated = build_space(header.space, header.forbidden)
        if holds(stated, configs):
            return stated
    return build_space(_observed(configs))


def holds(space: ConfigurationSpace, configs: Iterable[Config]) -> bool:
    """Return whether every value of the configurations is legal in a space."""
    return _holds(UnitCube(space), configs)


def _holds(cube: UnitCube, configs: Iterable[Config]) -> bool:
    values: dict[str, set[Any]] = {}
    for config in configs:
        for name, value in config.items():
            values.setdefault(name, set()).add(value)
    return all(name in cube.space and _legal(cube, name, seen) for name, seen in values.items())


def _legal(cube: UnitCube, name: str, seen: set[Any]) -> bool:
    parameter: Any = cube.space[name]
    numeric = hasattr(parameter, "lower") and not any(isinstance(v, (str, bool)) for v in seen)
    ends = [min(seen), max(seen)] if numeric else list(seen)
    return all(parameter.legal_value(value) for value in ends)


def _observed(configs: Sequence[Config]) -> dict[str, dict[str, Any]]:
    """Describe the smallest space that contains the configurations."""
    values: dict[str, list[Any]] = {}
    for config in configs:
        for name, value in config.items():
            values.setdefault(name, []).append(value)
    return {name: _described(seen) for name, seen in values.items()}


def _described(seen: Sequence[Any]) -> dict[str, Any]:
    if any(isinstance(value, (bool, str)) for value in seen):
        return {"type": "categorical", "choices": list(dict.fromkeys(seen))}
    low, high = min(seen), max(seen)
    kind = "int" if all(isinstance(value, int) for value in seen) else "float"
    log = low > 0 and high / low >= _LOG_RANGE
    if not low < high or not math.isfinite(high):
        return {"type": "constant", "value": low}
    if kind == "float":  # ConfigSpace rounds bounds, which must not exclude the values themselves
        wider = (low, high) if log else (high - low, high - low)
        low = math.floor((low - _MARGIN * wider[0]) * _STEPS) / _STEPS
        high = math.ceil((high + _MARGIN * wider[1]) * _STEPS) / _STEPS
    return {"type": kind, "lower": low, "upper": high, "log": log and low > 0}
