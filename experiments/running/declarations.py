"""What an objective declares about itself, checked and as the header of a log holds it.

An objective may be anybody's. NumPy's scalars become plain numbers, and what a log cannot hold is
refused before a log is begun.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives import description, expected
from objectives.objective import Deployment, Objective, Resources
from objectives.trial import Fidelities, Goal, Limit


def declarations(objective: Objective) -> dict[str, Any]:
    """Return the fields of a header that an objective determines.

    Raises:
        ValueError: the objective declares something else than the contract allows.
    """
    _check(objective)
    fingerprint = plain("objective.fingerprint", objective.fingerprint())
    expected.keyed("objective.fingerprint", fingerprint)
    optimum = expected.null_or(expected.number, "objective.optimum", objective.optimum)
    deployment = objective.deployment()
    if deployment is not None:
        _expect("objective.deployment", deployment, Deployment)
    return {
        "goals": dict(objective.goals),
        "space": description.describe(objective.space),
        "forbidden": description.forbidden(objective.space),
        "fidelities": objective.fidelities,
        "resources": objective.resources,
        "default": plain("objective.default", objective.default),
        "coco": objective.coco,
        "noise_sd": float(expected.number("objective.noise_sd", objective.noise_sd, least=0)),
        "optimum": None if optimum is None else float(optimum),
        "notice": expected.null_or(expected.text, "objective.notice", objective.notice() or None),
        "fingerprint": {"version": objective.version, **fingerprint},
        "limits": dict(objective.limits),
        "front": [_coordinates(point, objective.goals) for point in objective.front],
        "hypervolume": expected.null_or(
            expected.number, "objective.hypervolume", objective.hypervolume
        ),
        "deployment": deployment,
        "moved": expected.null_or(expected.switch, "objective.moved", objective.moved),
    }


def _coordinates(point: object, goals: Collection[str]) -> list[float]:
    """Return the numbers of a point of the front; there may be thousands of points."""
    if not isinstance(point, Mapping):
        expected.refuse("objective.front", "points with a number of each goal", point)
    numbers = [point.get(name) for name in goals]
    floats = [x for x in numbers if type(x) is float and math.isfinite(x)]
    if len(floats) == len(numbers):
        return floats
    pairs = zip(goals, numbers, strict=True)
    return [float(expected.number(f"objective.front.{name}", x)) for name, x in pairs]


def plain(where: str, value: Any) -> Any:
    """Return a value as JSON holds it, with NumPy's scalars as plain numbers.

    Raises:
        ValueError: JSON cannot hold a part of the value; the message names the part.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value if expected.is_number(value) else expected.refuse(where, _FINITE, value)
    if isinstance(value, Mapping):
        return {
            key: plain(f"{where}.{key}", x)
            for key, x in expected.keyed(where, value, "keys that are text").items()
        }
    if isinstance(value, list | tuple):
        return [plain(f"{where}[{place}]", x) for place, x in enumerate(value)]
    expected.refuse(where, "null, true, false, numbers, text, lists or mappings", value)


_FINITE = "a finite number"


def _check(objective: Objective) -> None:
    """Raise `ValueError` unless every attribute has the type of the contract."""
    expected.whole("objective.version", objective.version, 0)
    _expect("objective.space", objective.space, ConfigurationSpace)
    for name, goal in expected.keyed("objective.goals", objective.goals).items():
        where = f"objective.goals.{name}"
        _expect(where, goal, Goal)
        expected.switch(f"{where}.minimise", goal.minimise)
        for key in ("reference", "optimum"):
            expected.null_or(expected.number, f"{where}.{key}", getattr(goal, key))
    for name, limit in expected.keyed("objective.limits", objective.limits).items():
        _expect(f"objective.limits.{name}", limit, Limit)
        expected.number(f"objective.limits.{name}.bound", limit.bound)
        expected.switch(f"objective.limits.{name}.at_most", limit.at_most)
    if objective.fidelities is not None:
        _expect("objective.fidelities", objective.fidelities, Fidelities)
    _expect("objective.resources", objective.resources, Resources)
    expected.whole("objective.resources.gpus", objective.resources.gpus, 0)
    expected.whole("objective.resources.cores", objective.resources.cores, 0)
    if objective.default is not None:
        expected.keyed("objective.default", objective.default, "parameters with their values")
    _expect("objective.front", objective.front, Sequence)
    _check_coco(objective.coco)


def _check_coco(coco: object) -> None:
    if coco is None:
        return
    parts = list(coco) if isinstance(coco, Sequence) and not isinstance(coco, str) else []
    good = len(parts) == 3 and isinstance(parts[0], str)
    if not good or not all(expected.is_whole(part, 0) for part in parts[1:]):
        expected.refuse("objective.coco", "a suite, a function and an instance", coco)


def _expect(where: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIO" else "a"
        expected.refuse(where, f"{article} {kind.__name__}", value)
