"""Read a CSV file as rows; every error message names the row and the column."""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.plain_files import text_of

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:[,_' ][0-9]{3})+(?:\.[0-9]*)?", re.ASCII)
_FOREIGN = re.compile(r"[+-]?[0-9]+,[0-9]+|[+-]?[0-9]+(?:[.,][0-9]+)? ?%", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
_SHOWN = 5  # values of a column in a message


def looks_numeric(text: str) -> bool:
    """Return whether a cell is meant as a number, even if it cannot be read as one.

    It may be infinite, contain thousands separators or a decimal comma, or end in a percent sign.
    """
    return any(form.fullmatch(text) for form in (_NUMBER, _GROUPED, _FOREIGN))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: the column's name in the header.
        log10: whether its cells are the logarithms of the values.
    """

    name: str
    log10: bool = False


def column(where: str, described: object) -> Column:
    """Return the column of a setting: its name, or {column: name, log10: true}.

    Raises:
        ValueError: the setting is neither.
    """
    if isinstance(described, str) and described:
        return Column(described)
    if isinstance(described, Mapping) and not set(described) - {"column", "log10"}:
        name, log10 = described.get("column"), described.get("log10", False)
        if isinstance(name, str) and name and isinstance(log10, bool):
            return Column(name, log10)
    raise ValueError(
        f"{where}: expected a column or {{column: name, log10: true}}, got {described!r}"
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        path: of the file.
        number: 1 for the first row below the header.
        line: the line of the file at which the row ends.
        cells: the cells by column.
    """

    path: Path
    number: int
    line: int
    cells: Mapping[str, str]

    @property
    def where(self) -> str:
        """Return the beginning of an error."""
        return f"{self.path}, row {self.number} (line {self.line})"

    def text(self, source: Column) -> str:
        """Return a cell without the blanks around it."""
        return self.cells[source.name].strip()

    def is_number(self, source: Column) -> bool:
        """Return whether a cell holds a finite number in decimal digits."""
        text = self.text(source)
        return bool(_NUMBER.fullmatch(text)) and math.isfinite(float(text))

    def is_boolean(self, source: Column) -> bool:
        """Return whether a cell holds true or false, in capitals or not."""
        return self.text(source).lower() in _BOOLEANS

    def boolean_in(self, source: Column) -> bool:
        """Return the boolean that a cell represents, after `is_boolean`."""
        return _BOOLEANS[self.text(source).lower()]

    def means(self, source: Column, value: Any) -> bool:
        """Return whether a cell means a value (text, number or boolean; None for an empty cell)."""
        text = self.text(source)
        if value is None:
            return text == ""
        if isinstance(value, bool) and self.is_boolean(source):
            return self.boolean_in(source) == value
        if isinstance(value, (bool, int, float)):
            return self.is_number(source) and float(text) == value
        same = self.is_boolean(source) and _BOOLEANS.get(value.lower()) == self.boolean_in(source)
        return bool(text == value.strip() or same)

    def number_in(self, source: Column) -> float:
        """Return the number that a cell represents.

        Raises:
            ValueError: it holds none.
        """
        if not self.is_number(source):
            raise ValueError(
                f"{self.where}, column {source.name}: expected a finite number, "
                f"got {self.text(source)!r}"
            )
        number = float(self.text(source))
        if source.log10 and not -300 < number < 300:
            raise ValueError(
                f"{self.where}, column {source.name}: expected a logarithm in (-300, 300), "
                f"got {self.text(source)}"
            )
        return 10.0**number if source.log10 else number


class Table:
    """The rows of a CSV file with a header.

    Attributes:
        path: of the file.
        header: the names of its columns.
        rows: those that are kept, in their order.
    """

    def __init__(self, path: Path, where: Mapping[str, Any], needed: Sequence[Column]) -> None:
        """Read the rows whose cells mean what `where` says, by column: a value or a list of them.

        1, 1.0 and 1e0 mean the same number, true, True and TRUE the same boolean; None means an
        empty cell.

        Raises:
            ValueError: a needed column is missing or named twice, a row has too few or too many
                cells, or none is left.
            OSError: the file cannot be read.
        """
        if not isinstance(where, Mapping):
            raise ValueError(f"where: expected columns with values, got {where!r}")
        self.path = path
        try:
            self.rows = self._read([*where, *(source.name for source in needed)])
        except csv.Error as error:
            raise ValueError(f"{path}: expected a CSV file in UTF-8, got: {error}") from None
        for name, values in where.items():
            self._keep(name, values if isinstance(values, (list, tuple)) else [values])
        if not self.rows:
            raise ValueError(f"{path}: expected at least one row, got none below the header")

    def _keep(self, name: str, values: Sequence[Any]) -> None:
        """Keep the rows whose cell means one of the values."""
        for value in values:
            if not (value is None or isinstance(value, (bool, int, float, str))):
                raise ValueError(f"where.{name}: expected a value or a list of them, got {value!r}")
        source = Column(name)
        kept = [row for row in self.rows if any(row.means(source, value) for value in values)]
        if self.rows and not kept:
            texts = list(dict.fromkeys(row.text(source) for row in self.rows))
            more = ", ..." if len(texts) > _SHOWN else ""
            found = ", ".join(repr(text) for text in texts[:_SHOWN])
            raise ValueError(
                f"{self.path}: expected at least one row where {name} is "
                f"{' or '.join(repr(value) for value in values) or 'one of no values'}, got none "
                f"among {found}{more}"
            )
        self.rows = kept

    def _read(self, needed: Sequence[str]) -> list[Row]:
        rows: list[Row] = []
        with io.StringIO(text_of(self.path, "a CSV file"), newline="") as file:
            reader = csv.reader(file, strict=True)
            header = self.header = [name.strip() for name in next(reader, [])]
            for name in needed:
                if header.count(name) != 1:
                    rule = "a column" if name not in header else "one column"
                    raise ValueError(f"{self.path}: expected {rule} {name}, got {header}")
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue  # an empty line, or an empty row of a spreadsheet
                number = len(rows) + 1
                if len(cells) != len(header):
                    raise ValueError(
                        f"{self.path}, row {number} (line {reader.line_num}): expected "
                        f"{len(header)} cells, got {len(cells)}"
                    )
                cells_by_column = dict(zip(header, cells, strict=True))
                rows.append(Row(self.path, number, reader.line_num, cells_by_column))
        return rows
