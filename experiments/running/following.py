"""Reading logs that other processes are writing, as far as they have grown.

A pass over finished logs costs one `stat` for each file and each folder. Nothing here locks or
changes a log.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from experiments.running.history import History
from experiments.running.json_lines import opened, parsed
from experiments.running.run_log import damaged

LOG = "log.jsonl"

_COARSE_S = 2.0
"""A folder that changed so recently is listed again, because its time may not show two changes."""


class GrowingLog:
    """The contents of a log, read incrementally by the offset of its last complete line.

    Attributes:
        path: the path of the log.
        history: its contents so far.
        inode: the inode of the file that was read last; 0 before.
        generation: the number of times that the file was replaced or cut, so that `history`
            began anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history = History()
        self.inode = 0
        self.generation = 0
        self._offset = self._lines = 0
        self._seen = (0, 0, 0)

    def read(self) -> bool:
        """Read the lines that were completed since the last call; return whether there are any.

        Raises:
            ValueError: a line is damaged, or the file is not a regular file. Nothing is read
                until the file changes again.
            OSError: the file cannot be read.
        """
        status = os.stat(self.path)
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen == self._seen:
            return False
        self._seen = seen
        if self.inode not in (0, status.st_ino) or status.st_size < self._offset:
            self._begin_anew()
        self.inode = status.st_ino
        return self._take(self._new())

    def release(self) -> None:
        """Free the memory of the history; if the file grows, it is read again from the start."""
        self.history, self._offset, self._lines = History(), 0, 0

    def _begin_anew(self) -> None:
        self.release()
        self.generation += 1

    def _new(self) -> bytes:
        """Return the bytes after the offset; a line must have ended there."""
        with opened(self.path) as file:
            file.seek(max(self._offset - 1, 0))
            content = file.read()
            if self._offset and content[:1] != b"\n":
                self._begin_anew()
                file.seek(0)
                return file.read()
        return content[1:] if self._offset else content

    def _take(self, content: bytes) -> bool:
        """Add the complete lines to the history."""
        *lines, _ = content.split(b"\n")
        for line in lines:
            try:
                self.history.read(parsed(line))
            except ValueError as error:
                reason = damaged(self.path, self._lines + 1, str(error))
                raise ValueError(reason) from None
            self._offset += len(line) + 1
            self._lines += 1
        return bool(lines)


class Folders:
    """The logs below some folders. Only folders that have changed are listed again."""

    def __init__(self, roots: list[Path]) -> None:
        self._roots = roots
        self._listed: dict[str, tuple[float, list[str], bool]] = {}

    def logs(self) -> Iterator[Path]:
        """Yield the path of every log, including those that were created since the last call."""
        queue = [os.fspath(root) for root in reversed(self._roots)]
        known, seen = self._listed, set()
        while queue:
            folder = queue.pop()
            if folder in seen:
                continue
            seen.add(folder)
            found = self._list(folder, known.get(folder))
            if found is None:
                known.pop(folder, None)
                continue
            known[folder] = found
            _, below, has_log = found
            if has_log:
                yield Path(folder) / LOG
            queue += below

    def _list(
        self, folder: str, before: tuple[float, list[str], bool] | None
    ) -> tuple[float, list[str], bool] | None:
        """Return when a folder changed, the folders in it, and whether it has a log.

        The time is 0 if it may not show the next change. None: the folder is gone or unreadable.
        """
        now = time.time()
        try:
            changed = os.stat(folder).st_mtime
            if before is not None and before[0] == changed:
                return before
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name, reverse=True)
                below = [e.path for e in found if e.is_dir(follow_symlinks=False)]
        except OSError:
            return None
        recent = now - changed < _COARSE_S
        return 0.0 if recent else changed, below, any(entry.name == LOG for entry in found)
