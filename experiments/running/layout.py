"""Text that fits the reader's terminal; in a pipe or a file, nothing is shortened or wrapped."""

import shutil
import sys
import textwrap
from collections.abc import Sequence

_LEAST = 30  # columns; a terminal that says it has fewer is treated as one of this width


_LEAST_FIRST = 12  # characters of the first column


def width() -> int | None:
    """Return the width of the terminal in columns; None if the output is not a terminal."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return max(shutil.get_terminal_size().columns, _LEAST)


def wrapped(line: str, columns: int | None, indent: str) -> str:
    """Return a line broken at spaces to fit; further lines begin with `indent`."""
    if columns is None or len(line) <= columns:
        return line
    return textwrap.fill(
        line, columns, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def aligned(rows: Sequence[Sequence[str]], columns: int | None) -> list[str]:
    """Return the lines of a table; the first column is aligned left, the others right.

    The first row has the titles. If the table is too wide, columns whose entries are all zero or a
    dash are left out, and then the first column is shortened. If that is not enough, each row
    becomes a line of its first entry and a line of the others with their titles.
    """
    widths = _widths(rows)
    if columns is not None and _total(widths) > columns:
        kept = [i for i in range(len(rows[0])) if i == 0 or _says_something(rows, i)]
        rows = [[row[i] for i in kept] for row in rows]
        widths = _widths(rows)
        over = _total(widths) - columns
        if over > 0:
            if widths[0] - over < _LEAST_FIRST:
                return _stacked(rows, columns)
            widths[0] -= over
            rows = [[_cut(row[0], widths[0]), *row[1:]] for row in rows]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _stacked(rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    titles, *entries = rows
    lines = []
    for name, *cells in entries:
        told = ", ".join(f"{title} {cell}" for title, cell in zip(titles[1:], cells, strict=True))
        lines += [_cut(name, columns), wrapped(f"  {told}", columns, "  ")]
    return lines


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _says_something(rows: Sequence[Sequence[str]], i: int) -> bool:
    return any(row[i] not in ("0", "-") for row in rows[1:])


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
