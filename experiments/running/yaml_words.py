"""Values in YAML files have the same meaning as on the command line.

Hydra reads YAML 1.1, where an unquoted `on`, `off`, `yes` or `no` is a boolean, `1:30` is 90 and
`010` is 8. On its command line, these words are text. To make `choices: [on, off]` mean the same
in both places, we read only `true` and `false` as booleans, only decimal digits without a leading
zero as integers, and never a word with a colon as a number.
"""

import re
from typing import Any

import omegaconf._utils

from objectives.plain_yaml import BOOLEAN, WHOLE

_yaml_1_1 = omegaconf._utils.get_yaml_loader


def read_words_as_typed() -> None:
    """Make Hydra read values in YAML files as on its command line; repeated calls are harmless."""
    omegaconf._utils.get_yaml_loader = _loader


def _loader() -> Any:
    loader = _yaml_1_1()
    for initial, resolvers in loader.yaml_implicit_resolvers.items():
        narrower = [(tag, _narrowed(tag, pattern)) for tag, pattern in resolvers]
        loader.yaml_implicit_resolvers[initial] = narrower
    return loader


def _narrowed(tag: str, pattern: "re.Pattern[str]") -> "re.Pattern[str]":
    """Return the pattern of the words that a tag applies to."""
    kind = tag.rpartition(":")[2]
    if kind == "float":
        return re.compile(f"(?!.*:)(?:{pattern.pattern})", pattern.flags)
    return {"bool": BOOLEAN, "int": WHOLE}.get(kind, pattern)
