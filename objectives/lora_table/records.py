"""The producer's files: appended to and flushed line by line, shared by several processes.

    rows-K.jsonl     a line a training, by process K, who locks rows-K.lock
    items-K.jsonl    the items of the same trainings: float16 or bits, base64
    blocks.jsonl     a line a block: equal hardware, versions and reference loss
    claims.lock      byte i is locked by who does training i

A half-written last line, which a killed process leaves, is forgiven and cut off by the next. The
files lie in a checkout that others work in: git may put older ones in their place at any moment
(a stash, a merge). So they are opened anew for each line, and a process writes again what it
wrote before and finds no more.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Busy(Exception):
    """Another process holds it."""


def read_lines(path: Path, damaged: bool = False) -> list[Row]:
    """Read what is whole.

    Args:
        damaged: leave out what is no JSON, such as the marks of a conflict that git put there.

    Raises:
        ValueError: a line other than the last is not JSON.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    rows = []
    for number, line in enumerate(lines[:-1], start=1):  # behind the last newline: half-written
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
    """Return cell and train_seed of each whole line."""
    return {(row["cell"], row["train_seed"]) for row in rows(folder, kind, damaged=True)}


class Appender:
    """A file of JSON lines that this process alone appends to.

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
        """Append a line, and before it those of this process that the file lost."""
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
    """Return the lowest number whose files no process has, and its rows and items."""
    number = 0
    while True:
        try:
            appender = Appender(folder / f"rows-{number}.jsonl")
            return number, appender, Appender(folder / f"items-{number}.jsonl")
        except Busy:
            number += 1


class Claims:
    """Which training is under way. The system releases what a killed process claimed."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "claims.lock").open("a")

    def take(self, number: int) -> bool:
        """Claim a training unless another process has."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        return True

    def release(self, number: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)


def block(folder: Path, identity: Row, others: Row, check: Callable[[Row], None]) -> int:
    """Return the number of the block with this identity; record a new one where there is none.

    Args:
        folder: of the files.
        identity: what makes two blocks the same.
        others: what is recorded beside it.
        check: is given the first block and raises where the table may not go on.
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
