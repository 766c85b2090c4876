"""The log of a run: JSON lines, each flushed to disk before the run goes on.

`experiments/running/log_format.md` describes the format. A run is its log: nothing else is needed
to resume it, and nothing that it holds is ever rewritten.
"""

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from experiments.running.earlier import upgraded
from experiments.running.header import FORMAT, Header
from objectives.trial import Evaluation, Trial

RESERVE_BYTES = 1 << 18
"""Disk held back beside the log, so that what was already paid for fits on a full disk."""

Event = dict[str, Any]


@dataclass
class History:
    """What a log tells.

    Attributes:
        header: its first event, None where the log is empty.
        events: all events after the header, in order.
        trials: every trial asked, by id, in the order of asking.
        evaluations: every evaluation, by trial id, in the order of arrival.
        spent: the budget that the asked trials spend, in full-evaluation equivalents.
        done: the part of `spent` that is evaluated.
        budget: what the run was given last: in its header, an extension, or at its end.
        ended: whether the run reached `budget` or its optimizer had no more to ask.
    """

    header: Header | None = None
    events: list[Event] = field(default_factory=list)
    trials: dict[int, Trial] = field(default_factory=dict)
    evaluations: dict[int, Evaluation] = field(default_factory=dict)
    spent: float = 0.0
    done: float = 0.0
    budget: float = 0.0
    ended: bool = False

    def incumbent(self) -> int | None:
        """Return the id of the best successful full evaluation, the first on ties."""
        full = [
            (evaluation.value, id)
            for id, evaluation in self.evaluations.items()
            if evaluation.error is None
            and evaluation.value is not None
            and self.trials[id].fidelity == 1.0
        ]
        return min(full)[1] if full else None

    def add(self, event: Event) -> None:
        """Take one event, checking that it can follow what is there.

        Raises:
            ValueError, KeyError, TypeError: it cannot.
        """
        kind = event["event"]
        if (self.header is None) != (kind == "header"):
            raise ValueError("expected one header, as the first event")
        if kind == "header":
            self.header = Header.from_json(upgraded(event))
            self.budget = self.header.budget
            return
        self.events.append(event)
        if kind == "ask":
            for fields in event["trials"]:
                trial = Trial(**fields)
                if trial.id in self.trials:
                    raise ValueError(f"trial {trial.id} was asked before")
                self.trials[trial.id] = trial
                self.spent += trial.fidelity
        elif kind == "evaluation":
            id = event["id"]
            if id not in self.trials or id in self.evaluations:
                raise ValueError(f"expected an answer to a pending trial, got id {id}")
            self.evaluations[id] = Evaluation(
                event["value"],
                event["cost"],
                event["metrics"],
                event["error"],
                event.get("items", {}),
            )
            self.done += self.trials[id].fidelity
        elif kind in ("extend", "end"):
            self.budget = float(event["budget"])
        self.ended = kind == "end" or (self.ended and kind not in ("extend", "ask"))


def read(path: Path) -> History:
    """Read a log without touching it; a half-written last line is forgiven.

    Raises:
        ValueError: any other line is damaged; the message names file and line.
        OSError: the file cannot be read.
    """
    return _parse(path, path.read_bytes())[0]


def _parse(path: Path, content: bytes) -> tuple[History, int]:
    """Return the history and the length in bytes of the part of `content` that counts."""
    history, good = History(), 0
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        last = number == len(lines)
        if last and not line:
            break
        try:
            event = json.loads(line)
        except ValueError:
            if last:
                break
            raise ValueError(_damaged(path, number, "it is not JSON")) from None
        try:
            history.add(event)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"no key {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(_damaged(path, number, reason)) from None
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
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._lock()
            content = self.path.read_bytes()
            self.history, self._size = _parse(self.path, content)
            if self._size == len(content) + 1:  # a whole event that lacks its line's end
                os.write(self._file, b"\n")
            os.ftruncate(self._file, self._size)
            self._reserve = folder / ".reserve"
            self._hold_reserve()
        except BaseException:
            os.close(self._file)  # the lock goes with it
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"{self.path}: expected a log that no other process writes, got a locked one; "
                f"wait for that run, or give another out="
            ) from None

    def _hold_reserve(self) -> None:
        try:
            self._reserve.write_bytes(bytes(RESERVE_BYTES))
        except OSError as error:
            self._reserve.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(self._reserve.parent)) from None

    def append(self, event: Mapping[str, Any]) -> None:
        """Write one event and return when it is on the disk.

        Raises:
            OSError: it could not be written; the log ends with the event before. On a full
                disk the reserve is given up first, so that the event is usually saved, and
                the error is raised all the same.
        """
        line = json.dumps(event, allow_nan=False).encode() + b"\n"
        try:
            self._write(line)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._reserve.exists():
                raise
            self._reserve.unlink()
            self._write(line)
            self.history.add(json.loads(line))
            raise
        self.history.add(dict(event))

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fdatasync(self._file)
        except BaseException:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        """Give the log free."""
        self._reserve.unlink(missing_ok=True)
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
