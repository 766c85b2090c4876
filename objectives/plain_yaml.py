"""Reading of YAML and JSON that people write: plain values, every key once, words as typed.

YAML 1.1 reads an unquoted `on`, `off`, `yes` or `no` as a boolean, `1:30` as 90, `010` as 8, and
`1e-4` as text. On the command line, the first ones are text and `1e-4` is a number. Files have the
same meaning: only `true` and `false` are booleans, only decimal digits without a leading zero are
integers, and a word with a colon or a date is text.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from objectives.plain_files import text_of

_MOST_LEVELS = 64
_MOST_VALUES = 1_000_000  # a short file may repeat a value by aliases

BOOLEAN = re.compile(r"(?:true|True|TRUE|false|False|FALSE)$")
WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)$")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)


def _construct_mapping(self: Any, node: Any, deep: bool = False) -> dict[Hashable, Any]:
    """Construct a mapping as PyYAML does, except that a key that occurs twice is an error."""
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: the key {key.value} occurs twice")
            seen.add(key.value)
    made: dict[Hashable, Any] = yaml.SafeLoader.construct_mapping(self, node, deep)
    return made


_Loader: Any = type("_Loader", (yaml.SafeLoader,), {"construct_mapping": _construct_mapping})
_RESOLVED = {"bool": BOOLEAN, "int": WHOLE, "float": _FLOAT}
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, _RESOLVED.get(tag.rpartition(":")[2], pattern))
        for tag, pattern in resolvers
        if not tag.endswith((":timestamp", ":float"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def parsed(text: str) -> Any:
    """Return the plain value of a YAML or JSON text: null, booleans, numbers, text, lists, objects.

    Raises:
        ValueError: the text is neither, or contains something else; the message says why.
    """
    try:
        value = _Loader(text).get_single_data()
    except (yaml.YAMLError, TypeError, OverflowError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check(value)
    return value


def read_yaml(path: Path, what: str = "YAML or JSON") -> Any:
    """Return the plain value of a YAML or JSON file in UTF-8.

    Raises:
        ValueError: the file contains something else than `what`, or is no regular file.
        OSError: it cannot be read.
    """
    text = text_of(path, what)
    try:
        return parsed(text)
    except ValueError as error:
        raise ValueError(f"{path}: expected {what} in UTF-8, got: {error}") from None


def _check(value: Any) -> None:
    """Raise `ValueError` if a value is not plain, is nested too deeply, or is too large."""
    level, n_values = [value], 0
    for _ in range(_MOST_LEVELS):
        below: list[Any] = []
        for each in level:
            inside: list[Any] = []
            if isinstance(each, dict):
                odd = [key for key in each if not isinstance(key, str)]
                if odd:
                    raise ValueError(f"the key {odd[0]!r:.100}, which is not text")
                inside = [*each.values()]
            elif isinstance(each, list):
                inside = each
            elif not isinstance(each, bool | int | float | str | None):
                raise ValueError(f"a value of the type {type(each).__name__}")
            n_values += len(inside)
            if n_values > _MOST_VALUES:
                raise ValueError(f"more than {_MOST_VALUES} values")
            below += inside
        if not below:
            return
        level = below
    raise ValueError("it is nested too deeply")
