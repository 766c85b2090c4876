"""Files that a command writes: complete or not at all, and never in place of evaluations."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from experiments.running import interrupts
from experiments.running.plan import LEDGER, PLAN

_OF_A_RUN = ("log.jsonl", PLAN, LEDGER)
_OF_THE_SYSTEM = (("dev",), ("proc",), ("sys",))
_PACK_BEGINS = b"\xfd7zXZ\x00"
_NEW = ".new-"  # begins the names of the folders in which files are written
_FRESH_S = 60.0  # a younger folder may not be locked yet


@contextmanager
def whole(path: Path, where: str = "out", over_pack: bool = False) -> Iterator[Path]:
    """Give a new path; the file or folder that is written there is moved to `path` at the end.

    If the block raises an exception, nothing new is left, and what was at `path` is unchanged. The
    folder of `path` is created.

    Args:
        path: the path at which the file or folder is to be.
        where: the setting that names it, for error messages.
        over_pack: whether a file of packed runs may be replaced.

    Raises:
        ValueError: `path` is a folder, a pipe or a device, or a file that holds evaluations or
            belongs to a run.
        OSError: it cannot be written; the error names a path.
    """
    _check(path, where, over_pack)
    with _new_folder(path.parent, path) as folder:
        yield folder / path.name
        os.replace(folder / path.name, path)


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """Give a new folder; the files that are written there are moved into `folder` at the end.

    If the block raises an exception, nothing new is left, and what was in `folder` is unchanged.
    Other files in `folder` stay. A file is moved before those in the folders above it, so that a
    page or an index comes after the files that it shows.

    Args:
        folder: the folder in which the files are to be; it is created if it does not exist.

    Raises:
        OSError: the files cannot be written; the error names `folder`.
    """
    existed = folder.is_dir()
    try:
        with _new_folder(folder, folder) as new:
            yield new
            with interrupts.held():
                written = [path for path in new.rglob("*") if not path.is_dir()]
                for path in sorted(written, key=lambda path: (-len(path.parts), path)):
                    place = folder / path.relative_to(new)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(path, place)
    finally:
        if not existed and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def _new_folder(inside: Path, shown: Path) -> Iterator[Path]:
    """Give a new folder, which is removed at the end; an `OSError` about it names `shown`.

    The folder is locked. One that a killed process left is not, and is removed by the next command.
    """
    new: Path | None = None
    try:
        inside.mkdir(parents=True, exist_ok=True)
        for folder in inside.glob(f"{_NEW}*"):
            _remove_abandoned(folder)
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=inside))
        with _locked(new):
            yield new
    except OSError as error:
        place = None if error.filename is None else Path(os.fsdecode(error.filename))
        if place is not None and not any(part.startswith(_NEW) for part in place.parts):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(shown)) from None
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Try to lock a folder; give whether it was free. Some network disks cannot lock folders."""
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except OSError:
        free = False
    try:
        yield free
    finally:
        os.close(file)


def _remove_abandoned(folder: Path) -> None:
    with suppress(OSError):
        if time.time() - folder.stat().st_mtime > _FRESH_S:
            with _locked(folder) as free:
                if free:
                    shutil.rmtree(folder)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let an `OSError` that names no path, such as that of a full disk, name this one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def _check(path: Path, where: str, over_pack: bool) -> None:
    if path.is_dir():
        raise ValueError(f"{where}: expected the path of a file, got the folder {path}")
    top = path.absolute().parts[1:3]
    of_the_system = top[:1] in _OF_THE_SYSTEM and top != ("dev", "shm")
    if of_the_system or (path.exists() and not path.is_file()):
        raise ValueError(
            f"{where}: expected the path of a regular file, got {path}, a pipe or a device, which "
            f"would be replaced by a file"
        )
    begun = b""
    if path.is_file():
        with path.open("rb") as file:
            begun = file.read(len(_PACK_BEGINS))
    if path.name in _OF_A_RUN or (begun == _PACK_BEGINS and not over_pack):
        raise ValueError(
            f"{where}: expected a path that holds no runs, got {path}; give another {where}="
        )
