"""Reading of a recorded sequence of evaluations from a CSV file.

Every error message names the row and the column.
"""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import (
    ConfigurationSpace,
    Constant,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from objectives.plain_files import text_of
from objectives.space import UnitCube
from objectives.trial import Config, Value

_STATES = ("evaluated", "approximated")


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the recording.

    Attributes:
        config: the configuration that was run; a relaxed integer is truncated.
        value: the value, which the optimizer minimises; None if the row was only approximated.
        bounds: the lower and the upper bound of the value if the row was only approximated.
        phase: the phase, such as `sampling`; "" if the CSV has no such column.
    """

    config: Config
    value: float | None
    bounds: tuple[float, float] | None
    phase: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file, with the prefix of its error messages and its number, starting at 1."""

    where: str
    number: int
    cells: Mapping[str, str]

    def finite(self, name: str) -> float:
        """Return the finite number of a column.

        Raises:
            ValueError: the cell does not contain a finite number.
        """
        try:
            value = float(self.cells[name])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(
                f"{self.where}, column {name}: expected a finite number, got {self.cells[name]!r}"
            )
        return value


def read(
    path: Path, space: ConfigurationSpace, algorithm: str | None, score: str, maximise: bool
) -> list[Step]:
    """Read the rows of one algorithm in their order.

    Args:
        path: the CSV file, with a header.
        space: the space; each parameter has a column called <name> or log10_<name>.
        algorithm: the name in the column `algorithm` of the rows to read. All rows are read if it
            is None or if there is no such column.
        score: the name of the column with the scores.
        maximise: whether the value is 1 - score; otherwise it is the score.

    Raises:
        ValueError: a column is missing, a cell has an invalid value, or a configuration was
            evaluated twice.
        OSError: the file cannot be read.
    """
    columns, rows = read_rows(path)
    rows = _of(path, rows, columns, algorithm)
    sources = {name: _source(path, columns, space, name) for name in UnitCube(space).names}
    states = [_state(row) for row in rows]
    needed = [score] if "evaluated" in states else []
    needed += ["ucb", "lcb"] if "approximated" in states else []
    for name in needed:
        _expect(path, columns, name)
    steps, seen = [], dict[tuple[str, ...], tuple[int, float]]()
    for row, state in zip(rows, states, strict=True):
        config = {name: _cell(row, space, name, source) for name, source in sources.items()}
        phase = row.cells.get("phase", "")
        if state == "approximated":
            ends = row.finite("ucb"), row.finite("lcb")
            lower, upper = sorted(1 - end if maximise else end for end in ends)
            steps.append(Step(config, None, (lower, upper), phase))
            continue
        found = row.finite(score)
        place = tuple(row.cells[source] for source in sources.values() if source)
        if place in seen:
            number, known = seen[place]
            kind = "the same" if known == found else "a contradicting"
            raise ValueError(
                f"{row.where}, column {score}: expected a configuration once, got row {number} "
                f"again with {kind} score {found:g}"
            )
        seen[place] = row.number, found
        steps.append(Step(config, 1 - found if maximise else found, None, phase))
    return steps


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """Return the columns and the rows without interpreting the cells.

    Raises:
        ValueError: the file is not a CSV file, or a row has too many or too few cells.
        OSError: the file cannot be read.
    """
    rows: list[Row] = []
    try:
        with io.StringIO(text_of(path, "a CSV file"), newline="") as file:
            reader = csv.reader(file)
            columns = [name.strip() for name in next(reader, [])]
            for cells in filter(None, reader):
                number = len(rows) + 1
                where = f"{path}, row {number} (line {reader.line_num})"
                if len(cells) != len(columns):
                    raise ValueError(f"{where}: expected {len(columns)} cells, got {len(cells)}")
                stripped = [cell.strip() for cell in cells]
                rows.append(Row(where, number, dict(zip(columns, stripped, strict=True))))
    except csv.Error as error:
        raise ValueError(f"{path}: expected a CSV file in UTF-8, got: {error}") from None
    if not rows:
        raise ValueError(f"{path}: expected at least one row, got none")
    return columns, rows


def _of(path: Path, rows: list[Row], columns: list[str], algorithm: str | None) -> list[Row]:
    """Return the rows of one algorithm."""
    if "algorithm" not in columns:
        return rows
    known = list(dict.fromkeys(row.cells["algorithm"] for row in rows))
    if algorithm is None and len(known) > 1 or algorithm not in [None, *known]:
        raise ValueError(f"algorithm: expected one of {known} as in {path}, got {algorithm}")
    return [row for row in rows if algorithm in (None, row.cells["algorithm"])]


def _expect(path: Path, columns: list[str], name: str) -> None:
    if name not in columns:
        raise ValueError(f"{path}: expected a column {name}, got {columns}")


def _source(path: Path, columns: list[str], space: ConfigurationSpace, name: str) -> str:
    """Return the column of a parameter, or "" for a constant without a column."""
    for column in (name, f"log10_{name}"):
        if column in columns:
            return column
    if isinstance(space[name], Constant):
        return ""
    raise ValueError(f"{path}: expected a column {name} or log10_{name}, got {columns}")


def _state(row: Row) -> str:
    state = row.cells.get("state", "evaluated")
    if state not in _STATES:
        raise ValueError(
            f"{row.where}, column state: expected one of {list(_STATES)}, got {state!r}"
        )
    return state


def _cell(row: Row, space: ConfigurationSpace, name: str, source: str) -> Value:
    """Return the value of a parameter in a row."""
    parameter = space[name]
    if isinstance(parameter, UniformFloatHyperparameter | UniformIntegerHyperparameter):
        number = row.finite(source)
        lower, upper = float(parameter.lower), float(parameter.upper)
        if source != name:
            lower, upper = math.log10(lower), math.log10(upper)
        slack = 1e-9 * max(abs(lower), abs(upper))
        if not lower - slack <= number <= upper + slack:
            raise ValueError(
                f"{row.where}, column {source}: expected a number in [{lower:g}, {upper:g}], "
                f"got {row.cells[source]}"
            )
        natural = 10.0**number if source != name else number
        if isinstance(parameter, UniformIntegerHyperparameter):
            return min(max(int(natural), int(parameter.lower)), int(parameter.upper))
        return min(max(natural, float(parameter.lower)), float(parameter.upper))
    choices: list[Any] = list(
        getattr(parameter, "choices", ())
        or getattr(parameter, "sequence", ())
        or [getattr(parameter, "value", None)]
    )
    for choice in choices:
        if not source or str(choice) == row.cells[source]:
            plain: Value = choice.item() if isinstance(choice, np.generic) else choice
            return plain
    raise ValueError(
        f"{row.where}, column {source}: expected one of {[str(c) for c in choices]}, "
        f"got {row.cells[source]!r}"
    )


def short(config: Config) -> str:
    """Return a configuration as text, with six digits per number."""
    cells = (
        f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in config.items()
    )
    return " ".join(cells)


def same(first: Config, second: Config) -> bool:
    """Return whether two configurations are equal; floats may differ by rounding in a CSV."""
    return first.keys() == second.keys() and all(
        math.isclose(value, other, rel_tol=1e-6, abs_tol=1e-12)
        if isinstance(value, float) and isinstance(other, (int, float))
        else value == other
        for value, other in ((first[name], second[name]) for name in first)
    )
