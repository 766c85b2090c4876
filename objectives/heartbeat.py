"""Lines about a long wait, so that it is not taken for a hang.

`python -m objectives.heartbeat WHAT COMMAND...` runs a command and prints such lines meanwhile. It
needs nothing but Python, so that it can accompany the installation of the packages.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TextIO

LONG_WAIT_S = 60.0
"""Seconds between two lines about a wait."""


class Heartbeat:
    """Reports at regular intervals what its block is waiting for, or calls a function instead.

    with Heartbeat("starting the server"):
        wait()  # one line a minute: "still starting the server, after 1 min"
    """

    def __init__(
        self,
        what: str | Callable[[], object],
        every_s: float | None = None,
        stream: TextIO | None = None,
    ) -> None:
        """Start immediately.

        Args:
            what: a description of the wait, or a function to call instead of printing a line.
            every_s: seconds between two lines or calls; `LONG_WAIT_S` by default.
            stream: where the lines are written; standard error by default.
        """
        self._what, self._stream = what, stream
        self._every_s = LONG_WAIT_S if every_s is None else every_s
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                if callable(self._what):
                    self._what()
                else:
                    waited = duration(time.monotonic() - self._began)
                    say(f"still {self._what}, after {waited}", self._stream)
            except (OSError, ValueError):  # standard error was closed by its reader
                return

    def close(self) -> None:
        """Stop the reports."""
        self._over.set()
        self._thread.join(timeout=1.0)

    def __enter__(self) -> "Heartbeat":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def say(line: str, stream: TextIO | None = None) -> None:
    """Write a line at once; to standard error by default."""
    stream = stream or sys.stderr
    stream.write(f"{line}\n")
    stream.flush()


def duration(seconds: float) -> str:
    """Return a duration as text, in the unit that suits its size."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def accompany(what: str, command: Sequence[str]) -> int:
    """Run a command, report what it does meanwhile, and return its exit status.

    Ctrl-C reaches the command as well. The command ends first, and the status is then 130.
    """
    process = subprocess.Popen(command)
    with Heartbeat(what):
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()
            return 130
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(accompany(sys.argv[1], sys.argv[2:]))
