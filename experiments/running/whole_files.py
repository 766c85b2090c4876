"""Files that a command writes: complete or not at all, and never in place of evaluations."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.running import interrupts
from experiments.running.plan import LEDGER, PLAN

_OF_A_RUN = ("log.jsonl", PLAN, LEDGER)
_OF_THE_SYSTEM = (("dev",), ("proc",), ("sys",))
_PACK_BEGINS = b"\xfd7zXZ\x00"


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
    new = path.with_name(f".new-{os.getpid()}-{path.name[-100:]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield new
        os.replace(new, path)
    except OSError as error:
        if error.filename is not None and Path(os.fsdecode(error.filename)) != new:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        if new.is_dir():
            shutil.rmtree(new)
        else:
            new.unlink(missing_ok=True)


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
    new = folder / f".new-{os.getpid()}"
    try:
        new.mkdir(parents=True)
        yield new
        with interrupts.held():
            written = [path for path in new.rglob("*") if not path.is_dir()]
            for path in sorted(written, key=lambda path: (-len(path.parts), path)):
                place = folder / path.relative_to(new)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, place)
    except OSError as error:
        if error.filename is not None and new not in Path(os.fsdecode(error.filename)).parents:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(folder)) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if not existed and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


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
