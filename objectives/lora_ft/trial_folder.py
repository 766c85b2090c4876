"""A folder for each trial: what the tools said stays, the weights go."""

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

    A folder is locked while its trial runs, so what a killed run left can be told from what
    another run is using.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    @contextmanager
    def open(self, id: int) -> Iterator[Path]:
        """Make a trial's folder; at the end keep the files in `KEPT` alone.

        What other trials left and no process holds is thinned out first.

        Raises:
            OSError: no folder can be made there.
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
    except (FileNotFoundError, BlockingIOError):  # thinned out before; in use
        pass


def _thin_out(folder: Path) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == _LOCK):  # it last
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name not in KEPT:
            entry.unlink(missing_ok=True)
