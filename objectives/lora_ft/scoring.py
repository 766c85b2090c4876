"""Multiple choice by log-likelihood as lm-evaluation-harness scores it, and the held-out loss.

`hellaswag` and `mmlu` of lm_eval 0.4.13: the score of a choice is the log-likelihood of `" " +
choice` after the query. `acc` takes the choice with the highest score. `acc_norm` divides the score
by the choice's length in characters first. The first of equal choices wins. The probability of the
right choice is computed in addition, by the softmax over the length-normalised log-likelihoods.

Per-item outcomes are packed in base64, either as bits (`numpy.packbits`, first item in the highest
bit) or as little-endian float16.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from litgpt.lora import GPT
from numpy.typing import NDArray

from objectives.lora_ft.data import Question
from objectives.lora_ft.forest import groves
from objectives.lora_ft.packing import Branching
from objectives.lora_ft.reading import read
from objectives.lora_ft.team import Team

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """Per question (n,): right by log-likelihood, right by normalised one, and probability."""

    right: NDArray[np.bool_]
    right_norm: NDArray[np.bool_]
    p_right: Floats


def branch_sums(team: Team, model: GPT, sequences: Sequence[Branching]) -> Floats:
    """Return the log-likelihood of every branch in nats, in the order of the sequences."""
    model.eval()

    def work(_: int, piece: list[int]) -> Floats:
        with torch.inference_mode():
            sums: Floats = read(model, [sequences[i] for i in piece]).sums().cpu().numpy()
        return sums

    pieces = groves(sequences, team.tokens_at_once)
    firsts = np.cumsum([0] + [len(sequence.branches) for sequence in sequences])
    ordered = np.empty(firsts[-1])
    for piece, sums in zip(pieces, team.map(work, pieces), strict=True):
        ordered[np.concatenate([np.arange(firsts[i], firsts[i + 1]) for i in piece])] = sums
    return ordered


def outcomes(questions: Sequence[Question], sums: Floats) -> Outcomes:
    """Judge the choices by their log-likelihoods, given in the questions' order.

    Every question has the same number of choices.
    """
    scores = sums.reshape(len(questions), -1)  # (n, choices)
    lengths = np.array([[float(len(text)) for text in q.choices] for q in questions])
    gold = np.array([question.gold for question in questions])
    normalised = scores / lengths
    odds = np.exp(normalised - normalised.max(axis=1, keepdims=True))
    shares = odds / odds.sum(axis=1, keepdims=True)
    return Outcomes(
        right=scores.argmax(axis=1) == gold,
        right_norm=normalised.argmax(axis=1) == gold,
        p_right=shares[np.arange(len(gold)), gold],
    )


def losses(sequences: Sequence[Branching], sums: Floats) -> Floats:
    """Return the mean loss of each single-branch sequence, in nats per token."""
    n_tokens = np.array([len(sequence.branches[0]) for sequence in sequences], dtype=float)
    per_token: Floats = -sums / n_tokens
    return per_token


def pack_bits(right: NDArray[np.bool_]) -> str:
    """Pack a boolean per item."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def pack_floats(values: Floats) -> str:
    """Pack a number per item as float16."""
    return base64.b64encode(values.astype("<f2").tobytes()).decode()


def unpack_bits(text: str, n: int) -> NDArray[np.bool_]:
    """Unpack the n items of `pack_bits`."""
    raw = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return np.unpackbits(raw, count=n).astype(bool)


def unpack_floats(text: str) -> Floats:
    """Unpack the items of `pack_floats`, in float16's precision."""
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float64)
