"""The producer's files: appended to and flushed line by line, shared by several processes.

    rows-K.jsonl one line per training of process K, which locks rows-K.lock items-K.jsonl the items
    of the same trainings: float16 or bits, base64 blocks.jsonl one line per block: equal hardware,
    versions and reference loss claims.lock byte i is locked by the process that does training i

A killed process may leave an incomplete last line. It is ignored, and the next process removes it.
The files are in a checkout in which others work, so git may replace them by older versions at any
moment (a stash, a merge). The files are therefore reopened for each line, and a process writes
again its own lines that have disappeared.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Busy(Exception):
    """Another process appends to the file."""


def read_lines(path: Path, damaged: bool = False) -> list[Row]:
    """Read the complete lines.

    Args:
        damaged: whether to skip lines that are not JSON, such as git's conflict markers.

    Raises:
        ValueError: a line other than the last is not JSON.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    rows = []
    for number, line in enumerate(lines[:-1], start=1):  # the last part is incomplete
        try:
            rows.append(json.loads(line))
        except ValueError:
            if not damaged:
                raise ValueError(
                    f"{path} line {number}: expected JSON, got {line[:80]!r}"
                ) from None
    return rows


def rows(folder: Path, kind: str = "rows", damaged: bool = False) -> Iterator[Row]:
    """Yield the lines of all processes' files."""
    for path in sorted(folder.glob(f"{kind}-*.jsonl")):
        yield from read_lines(path, damaged)


def done(folder: Path) -> set[tuple[int, int]]:
    """Return cell and train_seed of each training whose row and items are recorded."""
    return keys(folder, "rows") & keys(folder, "items")


def keys(folder: Path, kind: str) -> set[tuple[int, int]]:
    """Return cell and train_seed of each complete line."""
    return {(row["cell"], row["train_seed"]) for row in rows(folder, kind, damaged=True)}


class Appender:
    """A file of JSON lines to which only this process appends.

    Raises:
        Busy: another process appends to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_suffix(".lock").open("w")
        self._mine: list[bytes] = []
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise Busy(path.name) from None

    def append(self, row: Row) -> None:
        """Append a line, after those lines of this process that have disappeared from the file."""
        self._mine.append(json.dumps(row, separators=(",", ":")).encode())
        with self._path.open("a+b") as file:
            file.seek(0)
            content = file.read()
            whole = content.rfind(b"\n") + 1
            file.truncate(whole)
            there = set(content[:whole].split(b"\n"))
            missing = [line for line in self._mine if line not in there]
            file.write(b"".join(line + b"\n" for line in missing))
            file.flush()
            os.fsync(file.fileno())


def own_files(folder: Path) -> tuple[int, Appender, Appender]:
    """Return the lowest number whose files no process holds, and its rows and items."""
    number = 0
    while True:
        try:
            appender = Appender(folder / f"rows-{number}.jsonl")
            return number, appender, Appender(folder / f"items-{number}.jsonl")
        except Busy:
            number += 1


class Claims:
    """The trainings in progress; the system releases the claims of a killed process."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "claims.lock").open("a")

    def take(self, number: int) -> bool:
        """Claim a training unless another process has claimed it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        return True

    def release(self, number: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)


def block(folder: Path, identity: Row, others: Row, check: Callable[[Row], None]) -> int:
    """Return the number of the block with this identity; record a new block if necessary.

    Args:
        folder: the folder of the files.
        identity: the values by which two blocks are the same.
        others: further values to record.
        check: a function that is given the first block and raises if the table must not be
            continued.
    """
    with (folder / "opening.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = read_lines(folder / "blocks.jsonl", damaged=True)
        if known:
            check(known[0])
        for number, recorded in enumerate(known):
            if all(recorded[name] == value for name, value in identity.items()):
                return number
        Appender(folder / "blocks.jsonl").append({"block": len(known), **identity, **others})
        return len(known)
