"""Pack many short sequences into few rows, and compute a context once for all its branches.

A sequence is a context with its branches, such as the four endings of a HellaSwag question or the
single response of an instruction. A row holds several sequences side by side. A token attends to
the earlier tokens of its own sequence that belong to the context or to its own branch. Its position
is counted as if its branch followed the context directly. The model therefore computes for every
branch the same as for context + branch alone.

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
    """A context and the branches that may follow it, as token ids; none is empty."""

    context: list[int]
    branches: list[list[int]]

    @property
    def n_inputs(self) -> int:
        """The number of tokens that the model reads; the last token of a branch is not read."""
        return len(self.context) + sum(len(branch) - 1 for branch in self.branches)


@dataclass(frozen=True)
class Packed:
    """Sequences packed into rows.

    Attributes:
        tokens: (R, T) token ids.
        positions: (R, T) each token's position in context + branch.
        mask: (R, 1, T, T) whether the token of the row index attends to that of the column index.
        predictors: (N,) positions in the flattened rows that predict the targets.
        targets: (N,) the tokens to predict.
        owners: (N,) index of the target's branch, counted over the rows and their sequences.
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
    """Distribute the sequences over an even number of rows of lengths as equal as possible.

    In order of decreasing length, each sequence is added to the shortest row so far. The number of
    rows is the smallest even number for which the mean length is at most `row_length`. It is even
    so that two threads get equal work.

    Returns:
        The indices of the sequences in each row; no row is empty.
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
    """Return (R, 1, T, T); padding attends only to earlier padding, so that no row is empty."""
    width = sequence_of.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    same_sequence = sequence_of[:, :, None] == sequence_of[:, None, :]
    same_branch = branch_of[:, :, None] == branch_of[:, None, :]
    seen = causal & same_sequence & (same_branch | (branch_of == 0)[:, None, :])
    return seen[:, None]
