"""The search space of runs: as their headers state it, or inferred from what was evaluated."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ConfigSpace import ConfigurationSpace

from experiments.analysis.results import Run
from objectives.space import UnitCube, build_space
from objectives.trial import Config

_LOG_RANGE = 1e3  # upper / lower from which an inferred positive parameter gets a log scale


def space_of(runs: Sequence[Run]) -> ConfigurationSpace:
    """Return the space of runs on one objective.

    This is the first run's stated space if it contains every configuration of all runs, and
    otherwise the smallest space that does.

    Raises:
        ValueError: the header describes no legal space.
    """
    configs = [config for run in runs for config in run.configs]
    header = runs[0].header
    if header.space:
        stated = build_space(header.space, header.forbidden)
        if _holds(UnitCube(stated), configs):
            return stated
    return build_space(_observed(configs))


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
    found: dict[str, Any] = {"type": kind, "lower": low, "upper": high, "log": log}
    return found if low < high and math.isfinite(high) else {"type": "constant", "value": low}
