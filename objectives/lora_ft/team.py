"""Divide work among threads that do not wait for one another within a piece of work.

Torch's own threads synchronise at a barrier after every operation, thousands of times per
evaluation. On a busy machine, each barrier waits until the other thread is scheduled again: with
both cores half busy, an evaluation took ten times as long. Here each thread computes a whole piece
of work with one torch thread. The results do not depend on the number of threads.
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
    """A pool of threads, and the number of tokens in one piece of scoring on this device."""

    pool: ThreadPoolExecutor
    tokens_at_once: int

    def map(self, work: Callable[[int, Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
        """Return `work(number, piece)` of each piece, in order.

        Raises:
            Exception: the first exception raised by a piece.
        """
        return list(self.pool.map(work, range(len(pieces)), pieces))


@contextmanager
def team(threads: int, device: torch.device) -> Iterator[Team]:
    """Open a team; torch uses one thread meanwhile, and its setting is restored afterwards."""
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
