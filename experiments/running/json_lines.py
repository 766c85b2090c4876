"""Strict reading of untrusted JSON, including special files and lines that are not JSON.

Python's own reader accepts NaN, infinities and invalid Unicode, and on deep nesting it raises an
error other than `ValueError`. All of these raise a `ValueError` here, with a short reason. A number
too large for a float is accepted; the caller has to check that numbers are finite.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from objectives import plain_files

MOST_BYTES = 1 << 32
"""The size in bytes of the largest log or pack that is read."""

MOST_LEVELS = 64
"""The deepest nesting of objects and lists; tuneoff itself never nests deeper."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def opened(path: Path) -> BinaryIO:
    """Open a log or a pack for reading; see `objectives.plain_files.opened`."""
    return plain_files.opened(path, MOST_BYTES)


def content_of(path: Path) -> bytes:
    """Return the bytes of a regular file; raise the same errors as `opened`."""
    with opened(path) as file:
        return file.read()


class NoJSON(ValueError):
    """A line is not JSON, for example because its writing was interrupted."""


def parsed(line: bytes) -> Any:
    """Return the value of a line of JSON.

    Raises:
        NoJSON: the line is not JSON, for example because it is incomplete; the message says why.
        ValueError: the line contains something that tuneoff never writes.
    """
    try:
        value = json.loads(line.decode(), parse_constant=_constant)
    except UnicodeDecodeError:
        raise NoJSON("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError:
        raise NoJSON("it is not JSON") from None
    except ValueError as error:  # from `_constant`, or from Python's limit on integer digits
        too_long = "digits" in str(error)
        raise ValueError("it contains a number that is too large" if too_long else error) from None
    if line.count(b"[") + line.count(b"{") > MOST_LEVELS and isinstance(value, dict | list):
        _check_depth(value)
    if _SURROGATE.search(line):
        _check_text(value)
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _check_depth(value: Any) -> None:
    """Raise `ValueError` if objects and lists are nested more than `MOST_LEVELS` deep."""
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [x for each in level for x in _inside(each) if isinstance(x, dict | list)]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _check_text(value: Any) -> None:
    """Raise `ValueError` if a text has an unpaired surrogate, which UTF-8 cannot encode."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it contains text that is not Unicode") from None
