"""Numba's compiler as a typed decorator that keeps machine code between processes.

Numba renews kept code when the function's own file changes, not when a function does that was
compiled into it. So the code of each state of this folder is kept in a place of its own.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit

from objectives.cache import cache_folder

F = TypeVar("F", bound=Callable[..., Any])

_SOURCES = sorted(Path(__file__).parent.glob("*.py"))
_DIGEST = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()[:16]


def compiled(function: F) -> F:
    """Compile a function at its first call; the machine code is kept in the cache folder."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_folder() / "numba" / _DIGEST)
    try:
        return cast(F, njit(cache=True, error_model="numpy")(function))
    finally:
        config.CACHE_DIR = before
