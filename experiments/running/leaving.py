"""Ending the process at once after an error, even if a library's threads are still running.

At exit, Python waits for every thread that is not a daemon. A Nevergrad search that waits for an
answer would keep a failed run alive forever, and with it the node that the run occupies.
"""

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """Flush the output and end the process immediately."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # the reader has closed the pipe, or there is no stream
    os._exit(status)


def carried_out(command: Callable[[], int]) -> NoReturn:
    """Run a command and end the process with its exit status, or with 1 after a traceback."""
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
