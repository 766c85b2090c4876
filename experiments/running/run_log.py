"""The log of a run: JSON lines. Every evaluation is on the disk before the run continues.

`experiments/running/log_format.md` describes the format. The log alone is enough to resume a run,
and its lines are never rewritten.
"""

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from experiments.running import interrupts
from experiments.running.earlier import header_of
from experiments.running.events import Event, read_event
from experiments.running.header import FORMAT, Header
from experiments.running.history import History
from experiments.running.json_lines import NoJSON, content_of, parsed

RESERVE_BYTES = 1 << 18
"""Disk space reserved for the log, so that a finished evaluation still fits on a full disk."""

_ENCODER = json.JSONEncoder(allow_nan=False)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def read(path: Path) -> History:
    """Read a log without changing it; an incomplete last line is ignored.

    Raises:
        ValueError: any other line is damaged; the message names the file and the line.
        OSError: the file cannot be read.
    """
    return _parse(path, content_of(path))[0]


def _parse(path: Path, content: bytes) -> tuple[History, int]:
    """Return the history, and the length in bytes of the complete lines of `content`."""
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
            raise ValueError(damaged(path, number, str(error))) from None
        good += len(line) + 1
    return history, good


def damaged(path: Path, number: int, reason: str) -> str:
    """Return the message for a damaged line of a log."""
    return (
        f"{path}, line {number}: expected an event of log format {FORMAT}, got a damaged line "
        f"({reason}); restore the file, or give another out="
    )


class LockedError(ValueError):
    """Another process holds the lock of the log."""


class RunLog:
    """A log that is open for appending and locked against other processes.

    Attributes:
        path: the path of the file.
        history: the contents of the log, kept up to date by `append`.

    Raises:
        ValueError: a line is damaged, or (`LockedError`) another process holds the lock.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK  # never block on a FIFO
        self._file = os.open(self.path, flags, 0o644)
        self._reserve: int | None = None
        try:
            self._lock()
            content = self.path.read_bytes()
            self.history, self._size = _parse(self.path, content)
            if self._size == len(content) + 1:  # a complete event without its newline
                os.write(self._file, b"\n")
            os.ftruncate(self._file, self._size)
            self._hold_reserve(folder)
        except BaseException:
            self.close()  # also releases the lock
            raise

    def _lock(self) -> None:
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise ValueError(f"{self.path}: expected a regular file, got something else")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"{self.path}: expected a log that no other process is writing, got a locked one; "
                f"wait for that run, or give another out="
            ) from None

    def _hold_reserve(self, folder: Path) -> None:
        """Reserve disk space in an unlinked file, which disappears when the process is killed."""
        path = folder / f".reserve-{os.getpid()}"
        try:
            self._reserve = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            path.unlink()
            if os.write(self._reserve, bytes(RESERVE_BYTES)) < RESERVE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from None

    def begin(self, header: Header) -> None:
        """Write the header; add the current time if it has no time yet.

        Raises:
            ValueError: the reader would not accept the header; nothing was written.
            OSError: the header could not be written.
        """
        begun = replace(header, time=header.time or time.time())
        line = _encoded(begun.to_json(), header_of)
        with interrupts.held():
            self._save(line, durable=True)
            self.history.begin(begun)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # makes the file's name durable
            finally:
                os.close(folder)

    def append(self, event: Event, durable: bool = True) -> None:
        """Write one event, after checking that the reader accepts it.

        Args:
            event: the event.
            durable: whether to return only after this event and all earlier ones are on the disk.

        Raises:
            ValueError: the event cannot follow the earlier ones, or the reader would not accept it;
                nothing was written.
            OSError: the event could not be written; the log ends with the previous event. On a
                full disk the reserved space is released first, so the event is usually saved,
                but the error is still raised.
        """
        with interrupts.held():
            self.history.check(event)
            line = _encoded(event.to_json(), read_event)
            try:
                self._save(line, durable)
            except _SavedOnFullDisk as full:
                self.history.take(event)
                raise OSError(*full.args) from None
            self.history.take(event)

    def flush(self) -> None:
        """Return when all events are on the disk.

        Raises:
            OSError: they could not be written, or the log was deleted.
        """
        os.fdatasync(self._file)
        self._check_there()

    def _save(self, line: bytes, durable: bool) -> None:
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
                errno.ENOENT, "the log was deleted during the run", str(self.path)
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


def _encoded(event: dict[str, Any], read: Callable[[Any], object]) -> bytes:
    """Return an event as a line that the reader accepts.

    Raises:
        ValueError: the event contains something that a log cannot hold.
    """
    try:
        line = _ENCODER.encode(event).encode()
        read(parsed(line))
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"log: expected an event of plain values, got {event['event']} ({reason})"
        ) from error
    return line + b"\n"


class _SavedOnFullDisk(Exception):
    """The disk is full, but the event was saved in the reserved space."""
