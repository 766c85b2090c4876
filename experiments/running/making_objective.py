"""Creation of an objective from its settings, with what a run adds to them.

`allowed` is a key that the settings of every objective may have. Its value is a list, or a file
that is read once, so that a run's identity and its log contain the combinations themselves.

`gpus` is a setting of the run. It becomes the value of the objective's own setting for the GPUs of
an evaluation, which the objective's class names (`Objective.gpus_setting`).
"""

from collections.abc import Mapping
from typing import Any

from hydra.utils import get_object, instantiate

from objectives import expected
from objectives.allowed import WHERE, read_allowed, restrict
from objectives.objective import Objective
from objectives.space import UnitCube

ALLOWED = "allowed"


def with_allowed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return an objective's settings with the contents of the file that `allowed` names.

    Raises:
        ValueError: the file cannot be read, or contains something else.
    """
    if settings.get(ALLOWED) is None:
        return {key: x for key, x in settings.items() if key != ALLOWED}
    return {**settings, ALLOWED: read_allowed(settings[ALLOWED])}


def with_gpus(settings: dict[str, Any], gpus: int | None) -> dict[str, Any]:
    """Return an objective's settings with the number of GPUs of an evaluation.

    A wrapper's inner objective receives it. The settings of an objective that has no setting for it
    are returned as they are; `check_gpus` refuses them.

    Args:
        settings: the settings, resolved.
        gpus: the number; None leaves the settings as they are.

    Raises:
        ValueError: the number is not whole.
    """
    if gpus is None:
        return settings
    expected.whole("gpus", gpus, 0)
    return _placed(settings, gpus) or settings


def _placed(settings: dict[str, Any], gpus: int) -> dict[str, Any] | None:
    """Return the settings of an objective that takes the number, or None."""
    path = _gpus_setting(settings)
    if path is not None:
        return _set(settings, path.split("."), gpus)
    for key, inner in settings.items():
        if isinstance(inner, dict) and (found := _placed(inner, gpus)) is not None:
            return {**settings, key: found}
    return None


def _gpus_setting(settings: dict[str, Any]) -> str | None:
    try:
        made = get_object(settings.get("_target_", ""))
    except Exception:  # importing a plug-in may raise anything; making the objective reports it
        return None
    named = isinstance(made, type) and issubclass(made, Objective)
    return getattr(made, "gpus_setting", None) if named else None


def _set(settings: dict[str, Any], path: list[str], gpus: int) -> dict[str, Any] | None:
    """Return settings with another value at a path; None if they do not contain the path."""
    first, *rest = path
    if first not in settings:
        return None
    if not rest:
        return {**settings, first: gpus}
    inner = settings[first]
    found = _set(inner, rest, gpus) if isinstance(inner, dict) else None
    return None if found is None else {**settings, first: found}


def check_gpus(objective: Objective, gpus: int | None) -> None:
    """Raise ValueError unless an objective needs the number of GPUs that the run gives it."""
    needed = objective.resources.gpus
    if gpus is None or gpus == needed:
        return
    rule = f"null or {needed}" if needed else "null"
    used = f"{needed} GPUs" if needed else "no GPU"
    raise ValueError(
        f"gpus: expected {rule}, as an evaluation of this objective uses {used}, got {gpus}"
    )


def make_objective(settings: Mapping[str, Any]) -> Objective:
    """Return the objective that resolved settings describe.

    A default configuration that is not allowed is left out.

    Raises:
        ValueError, OSError: no objective can be created from the settings.
        HydraException: likewise.
    """
    own = {key: x for key, x in settings.items() if key != ALLOWED}
    made: Any = instantiate(own, _convert_="all")
    if not isinstance(made, Objective):
        raise ValueError(f"objective: expected an Objective, got {type(made).__name__}")
    rows = settings.get(ALLOWED)
    if rows is None:
        return made
    if isinstance(rows, str):  # a log never makes us read a file that it names
        raise ValueError(f"{WHERE}: expected a list of combinations, got {rows!r:.100}")
    restrict(made.space, read_allowed(rows))
    if made.default is not None and not UnitCube(made.space).allows(made.default):
        if made.needs_default:
            raise ValueError(
                f"{WHERE}: expected the default configuration among the combinations, as this "
                f"objective measures it first, got {made.default}; set objective.default too"
            )
        made.default = None
    return made
