"""JSON that somebody else may have written: files that are no files, and lines that are no JSON.

Python's own reader takes NaN, infinities and text that is no Unicode, and fails otherwise than by a
`ValueError` on deep nesting. All of these are refused here, with a reason in a few words. A number
that no float can hold passes; whoever takes a number has to check that it is finite.
"""

import json
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

MOST_BYTES = 1 << 32
"""A log or a pack that is larger is not read."""

MOST_LEVELS = 64
"""Objects and lists that are nested deeper were not written by tuneoff."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def opened(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        ValueError: it is a pipe, a socket or a device, or too large.
        OSError: it cannot be read.
    """
    file = open(path, "rb", opener=_without_waiting)
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES:
        return file
    file.close()
    if stat.S_ISREG(status.st_mode):
        most, size = MOST_BYTES >> 30, status.st_size >> 30
        raise ValueError(f"{path}: expected at most {most} GiB, got {size} GiB")
    raise ValueError(f"{path}: expected a regular file, got a pipe, a device or a socket")


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to must not hold us up."""
    return os.open(path, flags | os.O_NONBLOCK)


def content_of(path: Path) -> bytes:
    """Return the bytes of a regular file, under the same rules."""
    with opened(path) as file:
        return file.read()


class NoJSON(ValueError):
    """A line is no JSON at all, as one whose writing was interrupted."""


def parsed(line: bytes) -> Any:
    """Return the value that a line of JSON holds.

    Raises:
        NoJSON: it holds none, as a line that was cut off; the message is the reason.
        ValueError: it holds what none of ours does.
    """
    try:
        value = json.loads(line.decode(), parse_constant=_constant)
    except UnicodeDecodeError:
        raise NoJSON("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError:
        raise NoJSON("it is not JSON") from None
    except ValueError as error:  # of `_constant`, or of Python's limit to the digits of an integer
        too_long = "digits" in str(error)
        raise ValueError("it holds a number that is too large" if too_long else error) from None
    if line.count(b"[") + line.count(b"{") > MOST_LEVELS and isinstance(value, dict | list):
        _check_depth(value)
    if _SURROGATE.search(line):
        _check_text(value)
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_depth(value: Any) -> None:
    """Raise where objects and lists are nested deeper than any of ours."""
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [x for each in level for x in _inside(each) if isinstance(x, dict | list)]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _check_text(value: Any) -> None:
    """Raise where a text has half of a surrogate pair, which no file can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds text that is not Unicode") from None
