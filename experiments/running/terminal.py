"""Printing to the user's terminal, and the command line that the user typed."""

import errno
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

STANDARD_OUTPUT = "standard output"

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Return the text with control characters as visible escapes, except tabs and newlines."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


PROGRESS_AUTO = "auto"
"""The value of the setting `progress` that shows a bar only on a terminal."""


class Printable:
    """Standard output that escapes control characters and tolerates a closed pipe.

    Names in logs and tables may come from untrusted files, and a terminal would execute the escape
    sequences in them. Once the reader of a pipe has closed it, further output is discarded.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._left = False

    def write(self, text: str) -> int:
        """Write a text with its control characters escaped."""
        shown = printable(text)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._try(
            lambda: self._stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        )
        return len(text)

    def flush(self) -> None:
        """Flush the stream.

        Raises:
            OSError: the stream cannot be written.
        """
        self._try(self._stream.flush)

    def _try(self, act: Any) -> None:
        if self._left:
            return
        try:
            act()
        except BrokenPipeError:
            self._leave()
        except OSError as error:
            self._leave()
            number = error.errno or errno.EIO
            raise OSError(number, os.strerror(number), STANDARD_OUTPUT) from None

    def _leave(self) -> None:
        """Redirect the buffered output to the null device, so that the process ends quietly."""
        self._left = True
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            pass  # the stream has no file descriptor, as in tests

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def typed(command: str, arguments: Sequence[str]) -> str:
    """Return the command line that a user would type for these arguments."""
    program = Path(sys.argv[0])
    words = ["tuneoff", command]
    if program.name == "run.py" and command == "run":
        words = ["python", sys.argv[0]]
    elif program.name == "__main__.py":
        words = ["python", "-m", "experiments", command]
    return shlex.join([*words, *arguments])
