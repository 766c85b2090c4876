"""Numba's compiler as a typed decorator."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function at its first call; the machine code is kept beside the source."""
    return cast(F, njit(cache=True, error_model="numpy")(function))
