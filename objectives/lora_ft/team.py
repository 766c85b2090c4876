"""Work shared by threads that never wait for one another inside a piece of it.

Torch's own threads meet at a barrier after every operation, thousands of times an evaluation. On
a machine with other work each barrier waits until the other thread is scheduled again: with both
cores half busy an evaluation took ten times as long. Here a thread computes whole rows with one
torch thread. The results do not depend on the number of threads.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from objectives.lora_ft.packing import Branching

Result = TypeVar("Result")
ROW_LENGTH = 256  # tokens; attention's cost grows with it, the overhead of a row falls
_ROWS_AT_ONCE = {"cpu": 1, "cuda": 64}


@dataclass(frozen=True)
class Team:
    """A pool of threads, and how many rows of tokens make one piece of work on this device."""

    pool: ThreadPoolExecutor
    rows_at_once: int

    def map(
        self,
        work: Callable[[list[list[Branching]], int], Result],
        sequences: Sequence[Branching],
        layout: Sequence[Sequence[int]],
    ) -> list[Result]:
        """Return `work(rows, number of the piece)` of each piece, in order.

        Raises:
            Exception: the first that a piece raised.
        """

        def piece(start: int) -> Result:
            here = layout[start : start + self.rows_at_once]
            return work([[sequences[i] for i in row] for row in here], start)

        return list(self.pool.map(piece, range(0, len(layout), self.rows_at_once)))


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
            yield Team(pool, _ROWS_AT_ONCE[device.type])
    finally:
        torch.set_num_threads(before)
