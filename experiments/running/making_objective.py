"""Creation of an objective from its settings, with the list of combinations that are allowed.

`allowed` is a key that the settings of every objective may have. Its value is a list, or a file
that is read once, so that a run's identity and its log contain the combinations themselves.
"""

from collections.abc import Mapping
from typing import Any

from hydra.utils import instantiate

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
