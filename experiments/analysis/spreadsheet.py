"""Cells of CSV files that a spreadsheet shows as text and never computes."""

import re
from typing import Any

_FORMULA = re.compile(r"[=+\-@\t\r\n|%]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def cell(value: Any) -> Any:
    """Return what a CSV holds of a value: true and false as JSON has them, texts made harmless.

    A spreadsheet takes a text that begins with =, +, -, @, |, % or a control character for a
    formula, and may run a program for it. Such a text gets an apostrophe in front.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
