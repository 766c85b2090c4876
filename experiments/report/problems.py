"""What logs do not say of their problems: known optima, and the axes of their spaces.

Both come from the objective, made again from its settings where that is cheap and safe: every
class named there is an `Objective` that says it is. Elsewhere the optimum is unknown, and the
axes come from the space in the settings, or from the configurations that were evaluated.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from hydra.utils import instantiate

from experiments.results import Run
from experiments.statistics.anytime import problem
from objectives.objective import Objective
from objectives.space import UnitCube, build_space
from objectives.trial import Config

_LOG_RANGE = 1e3  # of a positive parameter whose scale nobody states: shown as a logarithm


def made_again(runs: Sequence[Run]) -> dict[str, Objective]:
    """Return the objectives that can be made again, by `problem(run)`."""
    settings = {problem(run): run.header["objective"] for run in runs}
    made = {key: _make(each) for key, each in settings.items()}
    return {key: objective for key, objective in made.items() if objective is not None}


def _make(settings: Any) -> Objective | None:
    try:
        if not all(_is_cheap(target) for target in _targets(settings)):
            return None
        made = instantiate(settings, _convert_="all")
    except Exception:  # another version of the code, no data, a package that is not here
        return None
    return made if isinstance(made, Objective) else None


def _targets(settings: Any) -> Iterator[str]:
    nested = settings.items() if isinstance(settings, dict) else enumerate(settings)
    for key, value in nested:
        if key == "_target_":
            yield value
        elif isinstance(value, (dict, list)):
            yield from _targets(value)


def _is_cheap(target: str) -> bool:
    module, _, name = target.rpartition(".")
    found = getattr(import_module(module), name)
    return isinstance(found, type) and issubclass(found, Objective) and found.cheap


def axes(runs: Sequence[Run], objective: Objective | None) -> UnitCube:
    """Return the cube that places the configurations of one task."""
    configs = [config for run in runs for config in run.configs]
    if objective is not None and _holds(cube := UnitCube(objective.space), configs):
        return cube
    stated = runs[0].header["objective"].get("space")
    if stated and all(isinstance(each, dict) and "type" in each for each in stated.values()):
        cube = UnitCube(build_space(stated))
        if _holds(cube, configs):
            return cube
    return UnitCube(build_space(_observed(configs)))


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
