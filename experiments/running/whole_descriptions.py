"""A complete description of a parameter on the command line replaces the one in the YAML file.

Hydra would merge `objective.space.n={type: ordinal, choices: [1, 2]}` into the description of `n`
in the YAML file, and its bounds would remain. Setting the parameter to null first avoids this.
"""

import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from objectives.space import is_whole


def replacing(arguments: list[str]) -> list[str]:
    """Return the arguments, with `...=null` inserted before every complete description."""
    return [word for argument in arguments for word in _replacing(argument)]


def _replacing(argument: str) -> list[str]:
    found = re.match(r"\+\+(objective(?:\.inner)*\.space\.\w+)=\{", argument)
    if found is None or not _is_whole(argument):
        return [argument]
    return [f"++{found[1]}=null", argument]


def _is_whole(argument: str) -> bool:
    """Return whether an override gives a type and the bounds, choices or value it requires."""
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except HydraException:
        return False  # Hydra will report the error
    return isinstance(value, dict) and is_whole(value)
