"""Finished runs in folders and packed files, as configurations with their evaluations.

A file is read as data, and every type is checked; nothing that it names is imported.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from experiments.running.earlier import header_of
from experiments.running.fields import Fields
from experiments.running.header import Header
from experiments.running.packed import PACK, unpacked
from experiments.running.rows import Columns, row_of
from objectives.trial import Config, Evaluation

_FAILED = "failed in an earlier run"


@dataclass(frozen=True)
class FinishedRun:
    """A run that has spent its budget.

    Attributes:
        header: the description of the run.
        configs: the configurations of its full evaluations, in the order of arrival.
        evaluations: the value and whether it failed, of each.
    """

    header: Header
    configs: list[Config]
    evaluations: list[Evaluation]


def finished_runs(path: Path) -> Iterator[FinishedRun]:
    """Yield the finished runs below a folder, or of a log or a packed file.

    Raises:
        ValueError: a file is damaged; the message names it, and the line of a pack.
        OSError: a file cannot be read.
    """
    files = [path]
    if path.is_dir():
        files = [*sorted(path.rglob(PACK)), *sorted(path.rglob("log.jsonl"))]
    for file in files:
        status = file.stat()
        yield from _read(file.absolute(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1024)
def _read(file: Path, changed: int, size: int) -> tuple[FinishedRun, ...]:
    """Return the finished runs of a log or a pack; all runs of an experiment read the same files.

    Args:
        file: the file.
        changed: the time of its last change in nanoseconds.
        size: its size in bytes.
    """
    if file.name == "log.jsonl":
        row = row_of(file)
        found: Iterable[tuple[str, Any]] = [] if row is None else [(str(file), row)]
    else:
        found = ((f"{file}, line {number}", row) for number, row in unpacked(file))
    rows = []
    for where, row in found:
        try:
            read = _row(row)
        except ValueError as error:
            raise ValueError(f"{where}: expected a run, got a damaged one ({error})") from None
        rows += [] if read is None else [read]
    return tuple(rows)


def _row(row: Any) -> FinishedRun | None:
    """Return a finished run of a row; None if it is unfinished."""
    fields = Fields(row, "row")
    header = header_of(fields.mapping("header"))
    if not fields.boolean("ended"):
        return None
    columns = Columns(row)
    whole = columns.fidelities() == 1.0
    values, errors = columns.values().tolist(), columns.errors()
    configs, evaluations = [], []
    for i, config in enumerate(columns.configs()):
        value = values[i] if values[i] == values[i] else None  # NaN stands for no value
        if whole[i] and (value is not None or errors[i] is not None):
            configs.append(config)
            failed = None if errors[i] is None else _FAILED
            evaluations.append(Evaluation(value, 0.0, {}, failed))
    return FinishedRun(header, configs, evaluations)
