"""CSV cells that a spreadsheet shows as text and never evaluates as formulas."""

import re
from typing import Any

_FORMULA = re.compile(r"[=+\-@\t\r\n|%]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def cell(value: Any) -> Any:
    """Return a value that is safe in a CSV file; booleans are written as in JSON.

    A spreadsheet treats text that begins with =, +, -, @, |, % or a control character as a formula,
    which may run a program. An apostrophe is put in front of such text.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value
