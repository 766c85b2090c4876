"""Readers that convert the text after the `=` of a setting, one for each kind of value."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from objectives import expected

Reader = Callable[[str, str], Any]
"""Converts the text of a setting to its value; the first argument is the setting's name."""


def text(where: str, value: str) -> str:
    """Return a text that is not empty."""
    if not value:
        raise ValueError(f"{where}: expected a text, got ''")
    return value


def path(where: str, value: Any) -> Path:
    """Return a path with `~` expanded; a number or a list is rejected as a likely mistake."""
    if not isinstance(value, str) or re.fullmatch(
        r"[\[{].*|[-+]?[\d.]*\d[\d.]*|true|false", value, re.S
    ):
        example = f"; write ./{value} for a file of that name" if str(value).isalnum() else ""
        raise ValueError(f"{where}: expected a path, got {value}{example}")
    return expected.path(where, value)


def number(least: float | None = None, most: float | None = None, above: bool = False) -> Reader:
    """Return a reader of finite numbers.

    Args:
        least: the smallest number that is accepted.
        most: the largest number that is accepted.
        above: whether `least` itself is rejected.
    """
    lower = {"above" if above else "least": least}
    rule = f"a finite number{expected.bounds_in_words(**lower, most=most)}"

    def read(where: str, value: str) -> float:
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        if not expected.is_number(found, least=least, most=most) or (above and found == least):
            raise ValueError(f"{where}: expected {rule}, got {value}")
        return found

    return read


def whole(least: int, most: int | None = None) -> Reader:
    """Return a reader of integers."""
    rule = f"an integer{expected.bounds_in_words(least=least, most=most)}"

    def read(where: str, value: str) -> int:
        digits = re.fullmatch(r"\+?(\d{1,18})", value, re.ASCII)
        found = int(digits[1]) if digits else -1
        if not expected.is_whole(found, least, most):
            raise ValueError(f"{where}: expected {rule}, got {value}")
        return found

    return read


def switch(where: str, value: str) -> bool:
    """Return the boolean that `true` or `false` stands for."""
    if value.lower() not in ("true", "false"):
        raise ValueError(f"{where}: expected true or false, got {value}")
    return value.lower() == "true"


def one_of(*choices: str) -> Reader:
    """Return a reader that accepts only the given words."""

    def read(where: str, value: str) -> str:
        if value not in choices:
            rule = " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"
            raise ValueError(f"{where}: expected {rule}, got {value}")
        return value

    return read


def by_metric(what: str, example: str) -> Reader:
    """Return a reader of finite numbers by metric, such as `{ttft_p90_s: 2}`.

    Args:
        what: what the numbers are, for the message of an error.
        example: a value that is accepted.
    """

    def read(where: str, value: str) -> dict[str, float]:
        from objectives.plain_yaml import parsed  # imports yaml

        try:
            found = parsed(value)
        except ValueError:
            found = None
        if (
            not isinstance(found, dict)
            or not found
            or not all(map(expected.is_number, found.values()))
        ):
            raise ValueError(f"{where}: expected {what} by metric, {example}, got {value}")
        return {str(name): float(number) for name, number in found.items()}

    return read
