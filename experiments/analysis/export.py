"""`tuneoff export`: write runs in the formats of other tools.

The modules of `experiments/analysis/exchange/` say what each format can and cannot hold.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from experiments.analysis.results import Run, load
from experiments.running.readers import one_of
from experiments.running.readers import path as as_path
from experiments.running.settings import REQUIRED, Command, Given, Setting
from experiments.running.whole_files import whole
from objectives import expected

_WRITERS = {
    "coco": ("coco", "write"),
    "ioh": ("iohprofiler", "write"),
    "optuna": ("optuna_storage", "write"),
    "parquet": ("tables", "write_parquet"),
    "csv": ("tables", "write_csv"),
}


def export(runs: Sequence[Run], format: str, out: Path) -> None:
    """Write runs to a new file or folder.

    Raises:
        ValueError: the format is unknown or cannot hold the runs, or `out` exists already.
        OSError: it cannot be written.
        ModuleNotFoundError: a library of the format is not installed.
    """
    expected.one_of("format", format, _WRITERS)
    if out.exists():
        raise ValueError(f"out: expected a path where nothing is yet, got {out}; remove it first")
    module, name = _WRITERS[format]
    write: Callable[[Sequence[Run], Path], None]
    write = getattr(import_module(f"experiments.analysis.exchange.{module}"), name)
    with whole(out) as new:
        write(runs, new)


COMMAND = Command(
    "export",
    "Export runs to the formats of other tools, including unfinished runs and failed evaluations.",
    [
        ("tuneoff export results/smoke format=optuna out=smoke.db", "for optuna-dashboard"),
        ("tuneoff export results/bbob format=coco out=coco", "for cocopp"),
        ("tuneoff export results/smoke format=csv out=smoke.csv", "one row per evaluation"),
    ],
    [
        Setting("format", f"One of {', '.join(_WRITERS)}.", one_of(*_WRITERS), REQUIRED),
        Setting("out", "A file or folder that does not exist yet.", as_path, REQUIRED),
    ],
    folders="Folders of runs, or files written by tuneoff pack.",
    notes="""Formats:
  coco          a folder for cocopp; only functions of BBOB, because cocopp knows no others
  ioh           a folder for IOHanalyzer and iohinspector; any objective
  optuna        a storage for optuna-dashboard: SQLite (NAME.db) or a journal (NAME.journal)
  parquet, csv  one table with one row per evaluation""",
)


def main(arguments: Sequence[str]) -> int:
    """Export the runs and print a summary; return the exit status."""
    return COMMAND.answer(arguments, _export)


def _export(given: Given) -> int:
    runs = load(given.folders)
    export(runs, given["format"], given["out"])
    n_open = sum(not run.ended for run in runs)
    unfinished = f", {n_open} of them unfinished" if n_open else ""
    n_evaluations = sum(len(run.ids) for run in runs)
    print(f"{len(runs)} runs{unfinished}, {n_evaluations} evaluations: {given['out']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
