"""The producer's files: appended to and flushed line by line, shared by several processes.

    rows-K.jsonl     a line a training, by process K
    items-K.jsonl    the items of the same trainings: float16 or bits, base64
    blocks.jsonl     a line a block: equal hardware, versions and reference loss
    claims.lock      byte i is locked by who does training i

A half-written last line, which a killed process leaves, is forgiven and cut off by the next.
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


def read_lines(path: Path) -> list[Row]:
    """Read what is whole.

    Raises:
        ValueError: a line other than the last is not JSON.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines[:-1], start=1):  # behind the last newline: half-written
        try:
            rows.append(json.loads(line))
        except ValueError:
            raise ValueError(f"{path} line {number}: expected JSON, got {line[:80]!r}") from None
    return rows


def rows(folder: Path, kind: str = "rows") -> Iterator[Row]:
    """Yield the lines of all processes' files."""
    for path in sorted(folder.glob(f"{kind}-*.jsonl")):
        yield from read_lines(path)


def done(folder: Path) -> set[tuple[int, int]]:
    """Return cell and train_seed of each training recorded."""
    return {(row["cell"], row["train_seed"]) for row in rows(folder)}


class Appender:
    """A file of JSON lines that this process alone appends to.

    Raises:
        Busy: another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Busy(path.name) from None
        content = path.read_bytes()
        self._file.truncate(content.rfind(b"\n") + 1)

    def append(self, row: Row) -> None:
        self._file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def own_files(folder: Path) -> tuple[int, Appender, Appender]:
    """Return the lowest number whose files no process has open, and its rows and items."""
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
    with (folder / "blocks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = read_lines(folder / "blocks.jsonl")
        if known:
            check(known[0])
        for number, recorded in enumerate(known):
            if all(recorded[name] == value for name, value in identity.items()):
                return number
        Appender(folder / "blocks.jsonl").append({"block": len(known), **identity, **others})
        return len(known)
