"""Numba's compiler as a typed decorator that caches machine code between processes.

Numba renews cached code when the function's own file changes, but not when a function that was
inlined from another file changes. The cache folder therefore depends on the content of all files in
this folder.
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
    """Compile a function at its first call and store the machine code in the cache folder."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_folder() / "numba" / _DIGEST)
    try:
        return cast(F, njit(cache=True, error_model="numpy")(function))
    finally:
        config.CACHE_DIR = before
