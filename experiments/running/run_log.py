"""The log of a run: JSON lines, of which every evaluation is on the disk before the run goes on.

`experiments/running/log_format.md` describes the format. A run is its log: nothing else is needed
to resume it, and nothing that it holds is ever rewritten.
"""

import errno
import fcntl
import json
import os
import stat
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from experiments.running import interrupts
from experiments.running.events import Event
from experiments.running.header import FORMAT, Header
from experiments.running.history import History
from experiments.running.json_lines import NoJSON, content_of, parsed

RESERVE_BYTES = 1 << 18
"""Disk held back for the log, so that what was already paid for fits on a full disk."""

_ENCODER = json.JSONEncoder(allow_nan=False)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def read(path: Path) -> History:
    """Read a log without touching it; a half-written last line is forgiven.

    Raises:
        ValueError: any other line is damaged; the message names file and line.
        OSError: the file cannot be read.
    """
    return _parse(path, content_of(path))[0]


def _parse(path: Path, content: bytes) -> tuple[History, int]:
    """Return the history and the length in bytes of the part of `content` that counts."""
    history, good = History(), 0
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        last = number == len(lines)
        try:
            history.read(parsed(line))
        except ValueError as error:
            if last and isinstance(error, NoJSON):
                break
            raise ValueError(_damaged(path, number, str(error))) from None
        good += len(line) + 1
    return history, good


def _damaged(path: Path, number: int, reason: str) -> str:
    return (
        f"{path}, line {number}: expected an event of log format {FORMAT}, got a damaged line "
        f"({reason}); restore the file, or give another out="
    )


class LockedError(ValueError):
    """Another process writes the log."""


class RunLog:
    """A log open for appending, locked against a second process.

    Attributes:
        path: the file.
        history: what the log tells, kept up to date by `append`.

    Raises:
        ValueError: a line is damaged, or (`LockedError`) another process has the log.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK  # a FIFO would wait for ever
        self._file = os.open(self.path, flags, 0o644)
        self._reserve: int | None = None
        try:
            self._lock()
            content = self.path.read_bytes()
            self.history, self._size = _parse(self.path, content)
            if self._size == len(content) + 1:  # a whole event that lacks its line's end
                os.write(self._file, b"\n")
            os.ftruncate(self._file, self._size)
            self._hold_reserve(folder)
        except BaseException:
            self.close()  # the lock goes with it
            raise

    def _lock(self) -> None:
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise ValueError(f"{self.path}: expected a regular file, got something else")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"{self.path}: expected a log that no other process writes, got a locked one; "
                f"wait for that run, or give another out="
            ) from None

    def _hold_reserve(self, folder: Path) -> None:
        """Take room on the disk in a file without a name, which no kill leaves behind."""
        path = folder / f".reserve-{os.getpid()}"
        try:
            self._reserve = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            path.unlink()
            if os.write(self._reserve, bytes(RESERVE_BYTES)) < RESERVE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from None

    def begin(self, header: Header) -> None:
        """Write the header, with the time where it has none.

        Raises:
            OSError: it could not be written.
        """
        begun = replace(header, time=header.time or time.time())
        with interrupts.held():
            self._save(begun.to_json(), durable=True)
            self.history.begin(begun)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # the file's name
            finally:
                os.close(folder)

    def append(self, event: Event, durable: bool = True) -> None:
        """Write one event, if the reader would take it back.

        Args:
            event: what happened.
            durable: whether to return only when it is on the disk, with all before it.

        Raises:
            ValueError: it cannot follow what is there; nothing is written.
            OSError: it could not be written; the log ends with the event before. On a full
                disk the reserve is given up first, so that the event is usually saved, and
                the error is raised all the same.
        """
        with interrupts.held():
            self.history.check(event)
            try:
                self._save(event.to_json(), durable)
            except _SavedOnFullDisk as full:
                self.history.take(event)
                raise OSError(*full.args) from None
            self.history.take(event)

    def _save(self, event: dict[str, Any], durable: bool) -> None:
        line = _ENCODER.encode(event).encode() + b"\n"
        try:
            self._write(line, durable)
        except OSError as error:
            if error.errno not in _FULL or self._reserve is None:
                raise
            self._give_up_reserve()
            self._write(line, durable=True)
            raise _SavedOnFullDisk(error.errno, error.strerror, str(self.path)) from None

    def _write(self, line: bytes, durable: bool) -> None:
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            if durable:
                os.fdatasync(self._file)
                self._check_there()
        except BaseException:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def _check_there(self) -> None:
        if os.fstat(self._file).st_nlink == 0:
            raise FileNotFoundError(
                errno.ENOENT, "the log was deleted while the run wrote it", str(self.path)
            )

    def _give_up_reserve(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def close(self) -> None:
        """Release the lock."""
        self._give_up_reserve()
        os.close(self._file)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _SavedOnFullDisk(Exception):
    """The event is saved, in the room that was held back."""
