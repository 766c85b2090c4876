"""The axes of a task's space.

They come from the objective where it could be made again, or else from the space in the settings,
or from the configurations that were evaluated.
"""

import contextlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

from experiments.analysis.results import Run
from objectives.objective import Objective
from objectives.space import UnitCube, build_space
from objectives.trial import Config

_LOG_RANGE = 1e3  # of a positive parameter whose scale nobody states: shown as a logarithm


def axes(runs: Sequence[Run], objective: Objective | None) -> UnitCube:
    """Return the cube that places the configurations of one task."""
    configs = [config for run in runs for config in run.configs]
    if objective is not None and _holds(cube := UnitCube(objective.space), configs):
        return cube
    observed = _observed(configs)
    stated = runs[0].header["objective"].get("space")
    if stated and all(isinstance(each, dict) and "type" in each for each in stated.values()):
        kept = {
            name: each if _is_plain(each) else observed[name]
            for name, each in stated.items()
            if _is_plain(each) or name in observed
        }
        with contextlib.suppress(ValueError):  # a condition on what only the machine described
            if _holds(cube := UnitCube(build_space(kept)), configs):
                return cube
    return UnitCube(build_space(observed))


def _is_plain(description: dict[str, Any]) -> bool:
    """Return whether a parameter is described by numbers, not by the machine (`2*cores`)."""
    alone = {key: value for key, value in description.items() if key != "when"}
    try:
        build_space({"alone": alone})
    except ValueError:
        return False
    return True


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
    """Describe the smallest space that holds the configurations."""
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
