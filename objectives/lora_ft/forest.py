"""Represent sequences as a forest, so that common prefixes are computed only once.

Instructions share their template, and the endings of a question share their context. Each distinct
prefix is a node, and a sequence is a path from a root. Attention is computed path by path, so a
token attends to the same tokens as if its sequence were alone. There is one difference: sequences
that share a token share the adapters' dropout of this token.

Shapes: T nodes, S paths of at most L nodes, N targets (every token of every branch).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from objectives.lora_ft.packing import Branching


@dataclass(frozen=True)
class Forest:
    """The input of the model.

    Attributes:
        tokens: (T,) token ids.
        positions: (T,) depth of each node.
        paths: (S, L) the nodes of each path. Padding repeats node 0 after the end of a path, where
            no token of the path attends to it.
        places: (T,) index of the first occurrence of each node in the flattened paths.
        predictors: (N,) the nodes that predict the targets.
        targets: (N,) the tokens to predict.
        owners: (N,) index of the target's branch, counted over all sequences.
    """

    tokens: Tensor
    positions: Tensor
    paths: Tensor
    places: Tensor
    predictors: Tensor
    targets: Tensor
    owners: Tensor


def plant(sequences: Sequence[Branching]) -> Forest:
    """Merge the common prefixes of contexts and branches."""
    children: dict[tuple[int, int], int] = {}  # (parent, token): node
    positions: list[int] = []
    paths: list[list[int]] = []
    predictors: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    branches = [(s.context, branch) for s in sequences for branch in s.branches]
    for number, (context, branch) in enumerate(branches):
        node, path = -1, []
        for position, token in enumerate([*context, *branch[:-1]]):
            node = children.setdefault((node, token), len(children))
            if node == len(positions):
                positions.append(position)
            path.append(node)
        paths.append(path)
        predictors += path[len(context) - 1 :]
        targets += branch
        owners += [number] * len(branch)

    length = max(len(path) for path in paths)
    places = torch.empty(len(children), dtype=torch.long)
    for number in reversed(range(len(paths))):
        start, n_nodes = number * length, len(paths[number])
        places[paths[number]] = torch.arange(start, start + n_nodes)
    return Forest(
        tokens=torch.tensor([token for _, token in children]),
        positions=torch.tensor(positions),
        paths=torch.tensor([path + [0] * (length - len(path)) for path in paths]),
        places=places,
        predictors=torch.tensor(predictors),
        targets=torch.tensor(targets),
        owners=torch.tensor(owners),
    )


def groves(sequences: Sequence[Branching], n_tokens: int) -> list[list[int]]:
    """Distribute the sequences over pieces of about equal length, at most `n_tokens` each.

    Sequences of similar length are put together, so that attention computes little padding.

    Returns:
        The indices of the sequences in each piece.
    """
    order = sorted(range(len(sequences)), key=lambda i: (-sequences[i].n_inputs, i))
    pieces: list[list[int]] = []
    left = 0
    for number in order:
        length = sequences[number].n_inputs
        if length > left or not pieces:
            pieces.append([])
            left = n_tokens
        pieces[-1].append(number)
        left -= length
    return pieces


def shared(sequences: Sequence[Branching], n_pieces: int) -> list[list[int]]:
    """Distribute the sequences over a number of pieces of lengths as equal as possible.

    In order of decreasing length, each sequence is added to the shortest piece so far.

    Returns:
        The indices of the sequences in each piece, in their order; no piece is empty.
    """
    pieces: list[list[int]] = [[] for _ in range(min(n_pieces, len(sequences)))]
    lengths = [0] * len(pieces)
    for number in sorted(range(len(sequences)), key=lambda i: (-sequences[i].n_inputs, i)):
        shortest = lengths.index(min(lengths))
        pieces[shortest].append(number)
        lengths[shortest] += sequences[number].n_inputs
    return [sorted(piece) for piece in pieces]
