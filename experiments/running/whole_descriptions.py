"""A whole description of a parameter on the command line replaces the one of the YAML.

Hydra merges `objective.space.n={type: ordinal, choices: [1, 2]}` into what the YAML says of `n`,
so that its bounds would stay. Set to null before, the parameter is described anew.
"""

import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from objectives.space import is_whole


def replacing(arguments: list[str]) -> list[str]:
    """Return the arguments, with an empty description before every whole one."""
    return [word for argument in arguments for word in _replacing(argument)]


def _replacing(argument: str) -> list[str]:
    found = re.match(r"\+\+(objective(?:\.inner)*\.space\.\w+)=\{", argument)
    if found is None or not _is_whole(argument):
        return [argument]
    return [f"++{found[1]}=null", argument]


def _is_whole(argument: str) -> bool:
    """Return whether an override gives a type with the bounds, choices or value that it needs."""
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except HydraException:
        return False  # Hydra says why
    return isinstance(value, dict) and is_whole(value)
