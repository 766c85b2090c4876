"""The end of a command after an error: at once, whatever threads a library has left behind.

Python waits at its exit for every thread that is not a daemon. A search of Nevergrad's that waits
for an answer would keep a failed run, and the node that it holds, for ever.
"""

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End the process now; what was printed is written out first."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # the reader has left, or there is no stream
    os._exit(status)


def carried_out(command: Callable[[], int]) -> NoReturn:
    """Run a command and end the process: with its exit status, or 1 after a traceback."""
    try:
        status = command()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            leave(end.code or 0)
        print(end.code, file=sys.stderr)
        leave(1)
    except BaseException:
        traceback.print_exc()
        leave(1)
    sys.exit(status)
