"""Work shared by threads that never wait for one another inside a piece of it.

Torch's own threads meet at a barrier after every operation, thousands of times an evaluation. On
a machine with other work each barrier waits until the other thread is scheduled again: with both
cores half busy an evaluation took ten times as long. Here a thread computes a whole piece with
one torch thread. The results do not depend on the number of threads.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")
TOKENS_AT_ONCE = {"cpu": 512, "cuda": 16384}


@dataclass(frozen=True)
class Team:
    """A pool of threads, and how many tokens make one piece of scoring on this device."""

    pool: ThreadPoolExecutor
    tokens_at_once: int

    def map(self, work: Callable[[int, Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
        """Return `work(number, piece)` of each piece, in order.

        Raises:
            Exception: the first that a piece raised.
        """
        return list(self.pool.map(work, range(len(pieces)), pieces))


@contextmanager
def team(threads: int, device: torch.device) -> Iterator[Team]:
    """Open a team; torch's own number of threads is one meanwhile and restored after."""
    n_threads = threads if device.type == "cpu" else 1
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(
            n_threads, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            yield Team(pool, TOKENS_AT_ONCE[device.type])
    finally:
        torch.set_num_threads(before)
