"""One thread for small matrices: a second one only waits."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import scipy.linalg
from threadpoolctl import ThreadpoolController

assert np.__name__ and scipy.linalg.__name__  # both bring a BLAS, which the controller looks for
_THREAD_POOLS = ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run BLAS, and torch where it is loaded, on one thread.

    Also SciPy's L-BFGS-B: with two OpenBLAS threads on a loaded machine of two cores one of
    its steps took 9 ms instead of 0.02.
    """
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    if torch:
        torch.set_num_threads(1)
    try:
        with _THREAD_POOLS.limit(limits=1, user_api="blas"):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)
