"""Sequences as a forest: tokens that follow the same tokens are computed once.

Instructions share their template, the endings of a question their context. Each distinct prefix
is a node; a sequence is a path from a root, and attention is computed path by path, so a token
sees what it would see if its sequence stood alone. Only the adapters' dropout is shared by the
sequences that share a token.

Shapes: T nodes, S paths of at most L nodes, N targets (every token of every branch).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from objectives.lora_ft.packing import Branching


@dataclass(frozen=True)
class Forest:
    """What the model reads.

    Attributes:
        tokens: (T,) token numbers.
        positions: (T,) depth of each node.
        paths: (S, L) the nodes of each path; padding repeats node 0 behind a path's end, where
            nothing on the path sees it.
        places: (T,) where each node lies in the flattened paths, for the first time.
        predictors: (N,) the nodes that predict the targets.
        targets: (N,) the tokens predicted.
        owners: (N,) number of the branch, counted over the sequences.
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
    """Share the sequences out over pieces of about equal length, of at most `n_tokens` each.

    Sequences of like length come together, so that little of the attention is padding.

    Returns:
        The sequences' numbers in each piece.
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
    """Share the sequences out over so many pieces, as equally long as can be.

    Longest first, each to the shortest piece so far.

    Returns:
        The sequences' numbers in each piece, in their order; every piece has some.
    """
    pieces: list[list[int]] = [[] for _ in range(min(n_pieces, len(sequences)))]
    lengths = [0] * len(pieces)
    for number in sorted(range(len(sequences)), key=lambda i: (-sequences[i].n_inputs, i)):
        shortest = lengths.index(min(lengths))
        pieces[shortest].append(number)
        lengths[shortest] += sequences[number].n_inputs
    return [sorted(piece) for piece in pieces]
