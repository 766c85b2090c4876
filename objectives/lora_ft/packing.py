"""Many short sequences in few rows: no padding wasted, a context computed once for its branches.

A sequence is a context and its branches: the four endings of a HellaSwag question, the single
response of an instruction. Rows hold several sequences side by side. A token sees the tokens
before it in its own sequence that belong to the context or to its own branch, and its position
is counted as if its branch followed the context directly; so the model computes for every branch
what it would compute for context + branch alone.

Shapes: R rows, T tokens a row, N targets (every token of every branch).
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_PADDING = -1


@dataclass(frozen=True)
class Branching:
    """A context and the branches that may follow it, as token numbers; none is empty."""

    context: list[int]
    branches: list[list[int]]

    @property
    def n_inputs(self) -> int:
        """Number of tokens that the model reads: the last one of a branch predicts nothing."""
        return len(self.context) + sum(len(branch) - 1 for branch in self.branches)


@dataclass(frozen=True)
class Packed:
    """Sequences in rows.

    Attributes:
        tokens: (R, T) token numbers.
        positions: (R, T) each token's position in context + branch.
        mask: (R, 1, T, T) whether the row's token sees the column's.
        predictors: (N,) places in the flattened rows that predict the targets.
        targets: (N,) the tokens predicted.
        owners: (N,) number of the branch, counted over the rows and their sequences.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor
    predictors: Tensor
    targets: Tensor
    owners: Tensor

    def to(self, device: torch.device) -> "Packed":
        """Return the same on another device."""
        return Packed(*(tensor.to(device) for tensor in vars(self).values()))


def rows(sequences: Sequence[Branching], row_length: int) -> list[list[int]]:
    """Share the sequences out over an even number of rows, as equally long as can be.

    Longest first, each to the shortest row so far. The number of rows is the smallest even one
    whose mean length is at most `row_length` (even, so that two threads get the same work).

    Returns:
        The sequences' numbers in each row; every row has some.
    """
    order = sorted(range(len(sequences)), key=lambda i: (-sequences[i].n_inputs, i))
    total = sum(sequence.n_inputs for sequence in sequences)
    n_rows = min(2 * math.ceil(total / (2 * row_length)), len(sequences))
    filled: list[list[int]] = [[] for _ in range(n_rows)]
    shortest = [(0, row) for row in range(n_rows)]  # a heap
    for number in order:
        length, row = shortest[0]
        filled[row].append(number)
        heapq.heapreplace(shortest, (length + sequences[number].n_inputs, row))
    return filled


def pack(layout: Sequence[Sequence[Branching]]) -> Packed:
    """Lay out the sequences of each row side by side."""
    width = max(sum(sequence.n_inputs for sequence in row) for row in layout)
    shape = (len(layout), width)
    tokens, positions = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    sequence_of = torch.full(shape, _PADDING)
    branch_of = torch.zeros(shape, dtype=torch.long)
    predictors: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    n_branches = 0

    for row, sequences in enumerate(layout):
        start = 0
        for number, sequence in enumerate(sequences):
            stop = start + len(sequence.context)
            parts = [(start, 0, 0, sequence.context)]
            for branch, ending in enumerate(sequence.branches, start=1):
                parts.append((stop, branch, len(sequence.context), ending[:-1]))
                inner = range(row * width + stop, row * width + stop + len(ending) - 1)
                predictors += [row * width + start + len(sequence.context) - 1, *inner]
                targets += ending
                owners += [n_branches] * len(ending)
                n_branches += 1
                stop += len(ending) - 1
            for place, branch, position, part in parts:
                here = slice(place, place + len(part))
                tokens[row, here] = torch.tensor(part, dtype=torch.long)
                positions[row, here] = torch.arange(position, position + len(part))
                branch_of[row, here] = branch
            sequence_of[row, start:stop] = number
            start = stop

    return Packed(
        tokens=tokens,
        positions=positions,
        mask=_mask(sequence_of, branch_of),
        predictors=torch.tensor(predictors),
        targets=torch.tensor(targets),
        owners=torch.tensor(owners),
    )


def _mask(sequence_of: Tensor, branch_of: Tensor) -> Tensor:
    """Return (R, 1, T, T); padding sees earlier padding only, so that no row is empty."""
    width = sequence_of.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    same_sequence = sequence_of[:, :, None] == sequence_of[:, None, :]
    same_branch = branch_of[:, :, None] == branch_of[:, None, :]
    seen = causal & same_sequence & (same_branch | (branch_of == 0)[:, None, :])
    return seen[:, None]
