"""Processes that compute and draw parts of a report, and that never outlive it.

They are forked, so that they have all modules; what they compute does not need the runs. A thread
of each worker reads from a pipe of which only the command holds the other end. However the command
ends, even by `kill -9`, the system closes that end, and the workers end at once.
"""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context


@contextmanager
def workers(*sizes: int) -> Iterator[list[Executor]]:
    """Yield a pool of each size; where the block ends by an exception, so does their work."""
    read_end, write_end = os.pipe()
    pools = [
        ProcessPoolExecutor(
            n, get_context("fork"), initializer=_begin, initargs=(read_end, write_end)
        )
        for n in sizes
    ]
    whole = False
    try:
        yield [*pools]
        whole = True
    finally:
        if not whole:
            os.close(write_end)  # before the pools are waited for
        for pool in pools:
            pool.shutdown(cancel_futures=True)
        if whole:
            os.close(write_end)
        os.close(read_end)


def _begin(read_end: int, write_end: int) -> None:
    """Leave Ctrl-C to the command, and end with it."""
    os.close(write_end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(read_end,), daemon=True).start()


def _end_with(read_end: int) -> None:
    os.read(read_end, 1)
    os._exit(1)
