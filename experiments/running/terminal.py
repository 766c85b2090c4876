"""What a person's terminal is shown, and what the person typed."""

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
    """Return a text whose control characters are visible escapes; tabs and newlines stay."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Printable:
    """Standard output that shows control characters, and survives a reader that has left.

    Names in logs and tables come from anyone. A terminal would obey the escape sequences in
    them. Where the reader of a pipe has left, what else is printed is dropped.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._left = False

    def write(self, text: str) -> int:
        """Write a text, made printable."""
        shown = printable(text)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._try(
            lambda: self._stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        )
        return len(text)

    def flush(self) -> None:
        """Flush the stream.

        Raises:
            OSError: it cannot be written.
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
        """Send what is still buffered to nowhere, so that the end of the process is quiet."""
        self._left = True
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            pass  # a stream without a file, as in tests

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def typed(command: str, arguments: Sequence[str]) -> str:
    """Return the command line that a person would type for these arguments."""
    program = Path(sys.argv[0])
    words = ["tuneoff", command]
    if program.name == "run.py" and command == "run":
        words = ["python", sys.argv[0]]
    elif program.name == "__main__.py":
        words = ["python", "-m", "experiments", command]
    return shlex.join([*words, *arguments])
