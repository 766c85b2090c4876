"""A CSV file as rows that name themselves: every mistake says which row and column."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: in the header.
        log10: whether its cells are the logarithms of what they stand for.
    """

    name: str
    log10: bool = False


def column(where: str, described: object) -> Column:
    """Return the column of a setting: its name, or {column: name, log10: true}.

    Raises:
        ValueError: it is neither.
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
        line: of the file, where the row ends.
        cells: by column.
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
        """Return whether a cell holds a finite number."""
        try:
            return math.isfinite(float(self.text(source)))
        except ValueError:
            return False

    def number_in(self, source: Column) -> float:
        """Return the number that a cell stands for.

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
        rows: those that are kept, in their order.
    """

    def __init__(self, path: Path, where: Mapping[str, Any], needed: Sequence[Column]) -> None:
        """Read the rows whose cells are as `where` says, by column: a value or a list of them.

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
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: expected a CSV file in UTF-8, got: {error}") from None
        for name, values in where.items():
            wanted = [str(v) for v in (values if isinstance(values, list) else [values])]
            self.rows = [row for row in self.rows if row.text(Column(name)) in wanted]
        if not self.rows:
            raise ValueError(f"{path}: expected at least one row where {dict(where)}, got none")

    def _read(self, needed: Sequence[str]) -> list[Row]:
        rows: list[Row] = []
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            for name in needed:
                if header.count(name) != 1:
                    rule = "a column" if name not in header else "one column"
                    raise ValueError(f"{self.path}: expected {rule} {name}, got {header}")
            for cells in reader:
                if not cells:
                    continue  # an empty line
                number = len(rows) + 1
                if len(cells) != len(header):
                    raise ValueError(
                        f"{self.path}, row {number} (line {reader.line_num}): expected "
                        f"{len(header)} cells, got {len(cells)}"
                    )
                cells_by_column = dict(zip(header, cells, strict=True))
                rows.append(Row(self.path, number, reader.line_num, cells_by_column))
        return rows
