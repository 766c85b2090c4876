"""Export runs to the files of other tools.

    python -m experiments.analysis.export FOLDER... format=coco|ioh|optuna|parquet|csv out=PATH

FOLDER is a folder of runs, or a file by `experiments.analysis.pack`. Runs are exported as far
as they got, failures included. `out` must not exist yet; it appears when it is whole. What each
format holds, and what it cannot hold, stands in `experiments/analysis/exchange/`:

- coco: a folder for `cocopp`; BBOB alone, as cocopp knows no other functions.
- ioh: a folder for IOHanalyzer and iohinspector; any objective.
- optuna: a storage for optuna-dashboard; SQLite (out=NAME.db) or a journal (out=NAME.journal).
- parquet, csv: one table, a row per evaluation.
"""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from experiments.analysis import words
from experiments.analysis.results import Run, load
from experiments.running.mistakes import answered

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
        ValueError: there is no such format, it cannot hold the runs, or `out` is there already.
        OSError: it cannot be written.
        ModuleNotFoundError: a library of the format is not installed.
    """
    if format not in _WRITERS:
        raise ValueError(f"format: expected one of {', '.join(_WRITERS)}, got {format}")
    if out.exists():
        raise ValueError(f"out: expected a path where nothing is yet, got {out}; remove it first")
    module, name = _WRITERS[format]
    write: Callable[[Sequence[Run], Path], None]
    write = getattr(import_module(f"experiments.analysis.exchange.{module}"), name)
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(f"new-{os.getpid()}-{out.name}")
    try:
        write(runs, new)
        os.replace(new, out)
    finally:
        for left in out.parent.glob(f"{new.name}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _settings(arguments: Sequence[str]) -> tuple[list[Path], str, Path]:
    """Return folders, format and `out` of a command line."""
    folders, given = words.split(arguments, ("format", "out"))
    if len(given) < 2 or not all(given.values()):
        raise ValueError(
            f"export: expected FOLDER... format={'|'.join(_WRITERS)} out=PATH, got "
            f"{' '.join(arguments) or 'nothing'}"
        )
    return folders, given["format"], Path(given["out"])


def main(arguments: Sequence[str]) -> int:
    """Export and say what came of it; return the exit status."""

    def command() -> int:
        folders, format, out = _settings(arguments)
        runs = load(folders)
        export(runs, format, out)
        n_open = sum(not run.ended for run in runs)
        unfinished = f", {n_open} of them unfinished" if n_open else ""
        n_evaluations = sum(len(run.ids) for run in runs)
        print(f"{len(runs)} runs{unfinished}, {n_evaluations} evaluations: {out}")
        return 0

    return answered(command, list(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
