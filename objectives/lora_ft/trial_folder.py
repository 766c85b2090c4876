"""A folder for each trial, in which the tools' output is kept and the weights are deleted."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT = ("commands.txt", "finetune_lora.txt", "evaluate.txt", "metrics.csv", "results.json")
_LOCK = "in_use"


class TrialFolders:
    """The trials' folders under one root.

    A folder is locked while its trial runs, which distinguishes the folders left by a killed run
    from those in use by another run.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    @contextmanager
    def open(self, id: int) -> Iterator[Path]:
        """Create a trial's folder; at the end, keep only the files in `KEPT`.

        Folders of other trials that no process holds are cleaned up first.

        Raises:
            OSError: the folder cannot be created.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.glob("trial-*"):
            _thin_out_abandoned(left)
        folder = Path(tempfile.mkdtemp(prefix=f"trial-{id:04d}-", dir=self._root))
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield folder
            finally:
                _thin_out(folder)


def _thin_out_abandoned(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _thin_out(folder)
    except (FileNotFoundError, BlockingIOError):  # cleaned up before, or in use
        pass


def _thin_out(folder: Path) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == _LOCK):  # the lock last
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name not in KEPT:
            entry.unlink(missing_ok=True)
