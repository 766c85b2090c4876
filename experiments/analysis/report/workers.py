"""Worker processes that compute and draw parts of a report, and that never outlive the command.

They are forked, so all modules are already imported; their work does not need the runs. A thread of
each worker reads from a pipe whose other end only the command holds. However the command ends, even
by `kill -9`, the system closes that end, and the workers end at once.
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
    """Yield a pool of each size; if the block raises an exception, their work is cancelled."""
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
            os.close(write_end)  # ends the workers, so that waiting for the pools does not block
        for pool in pools:
            pool.shutdown(cancel_futures=True)
        if whole:
            os.close(write_end)
        os.close(read_end)


def _begin(read_end: int, write_end: int) -> None:
    """Ignore Ctrl-C, which the command handles, and end when the command ends."""
    os.close(write_end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(read_end,), daemon=True).start()


def _end_with(read_end: int) -> None:
    os.read(read_end, 1)
    os._exit(1)
