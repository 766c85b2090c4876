"""Reading of files that users name, which may be pipes, devices or anything else."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 1 << 30
"""The size in bytes of the largest file that is read, unless a caller states another limit."""


def opened(path: Path, most_bytes: int = MOST_BYTES) -> BinaryIO:
    """Open a regular file for reading.

    Args:
        path: the file.
        most_bytes: the largest size that is accepted.

    Raises:
        ValueError: the file is a pipe, a socket or a device, or it is too large.
        OSError: it cannot be read.
    """
    file = open(path, "rb", opener=_without_waiting)
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size <= most_bytes:
        return file
    file.close()
    if stat.S_ISREG(status.st_mode):
        most, size = most_bytes >> 20, status.st_size >> 20
        raise ValueError(f"{path}: expected at most {most} MiB, got {size} MiB")
    raise ValueError(f"{path}: expected a regular file, got a pipe, a device or a socket")


def text_of(path: Path, what: str) -> str:
    """Return the text of a regular file in UTF-8, without a byte order mark.

    Args:
        path: the file.
        what: what it should contain, for the error message.

    Raises:
        ValueError: the file is not in UTF-8, or as in `opened`.
        OSError: it cannot be read.
    """
    with opened(path) as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected {what} in UTF-8, got: {error}") from None


def _without_waiting(path: str, flags: int) -> int:
    """Open a file without blocking, even if it is a pipe that has no writer."""
    return os.open(path, flags | os.O_NONBLOCK)
