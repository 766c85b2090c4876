"""Pause background work while another process measures times.

There are two lock files in the cache folder, held with flock, so the system releases the locks of a
killed process. Processes that measure share a lock on `quiet.lock`. Background processes check it
between two short pieces of work, and share a lock on `background.lock` during a piece.

    with quiet():                # returns when every piece of background work has paused
        measure()

    background = Background()
    for piece in work:
        with background.piece():   # waits while another process measures
            piece()
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from objectives.cache import cache_folder

_POLL_S = 0.5
_LOOKS, _AGAIN_S = 2, 0.01  # two simultaneous checks in the background see each other


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Pause background work. Several processes may do so at once, and calls may be nested."""
    folder = _folder()
    with (folder / "quiet.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        with (folder / "background.lock").open("w") as background:
            fcntl.flock(background, fcntl.LOCK_EX)  # waits for pieces in progress
        yield


class Background:
    """Background work that pauses while other processes measure."""

    def __init__(self) -> None:
        folder = _folder()
        self._quiet = (folder / "quiet.lock").open("w")
        self._background = (folder / "background.lock").open("w")
        self.paused_s = 0.0

    @contextlib.contextmanager
    def piece(self) -> Iterator[None]:
        """Do a short piece of work as soon as no process measures."""
        self._wait()
        try:
            yield
        finally:
            fcntl.flock(self._background, fcntl.LOCK_UN)

    def _wait(self) -> None:
        started = time.monotonic()
        while True:
            fcntl.flock(self._background, fcntl.LOCK_SH)
            if self._is_free():
                break
            fcntl.flock(self._background, fcntl.LOCK_UN)
            time.sleep(_POLL_S)
        self.paused_s += time.monotonic() - started

    def _is_free(self) -> bool:
        for _ in range(_LOOKS):
            try:
                fcntl.flock(self._quiet, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_AGAIN_S)
            else:
                fcntl.flock(self._quiet, fcntl.LOCK_UN)
                return True
        return False


def _folder() -> Path:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
