"""One fine-tuning of a cell, step by step, and the scoring of what it has learned so far.

LoRA from B = 0, dropout on the adapters' input, AdamW on float32 copies of the adapters, no
gradient clipping; the rate is constant after one step at half of it, so that a run cut short is
the prefix of the whole one. The loss is the mean over a step's target tokens.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from objectives.lora_ft import lean
from objectives.lora_ft.forest import groves, plant
from objectives.lora_ft.model import Adapters, BaseModel, Dropout
from objectives.lora_ft.packing import Branching
from objectives.lora_table.cells import MATRICES, Training
from objectives.quiet import Background

DROPOUT = 0.05
WEIGHT_DECAY = 0.01
_SCORED_AT_ONCE = 512  # tokens
Floats = NDArray[np.float64]


class Diverged(Exception):
    """A training loss is not finite."""


class Finetuning:
    """A model on its way through a training.

    Args:
        base: weights that stay as they are.
        training: cell and `train_seed`: of the adapters' start, the dropout and the order.
        sequences: the instructions, in the order of the data.
        background: gives way between steps.
    """

    def __init__(
        self,
        base: BaseModel,
        training: Training,
        sequences: Sequence[Branching],
        background: Background,
    ) -> None:
        cell, self._seed = training.cell, training.train_seed
        start, order = np.random.SeedSequence(self._seed).spawn(2)
        self.model = base.adapted(
            Adapters(
                rank=cell.rank,
                alpha=cell.alpha,
                dropout=DROPOUT,
                matrices=MATRICES[cell.matrices],
                seed=int(start.generate_state(1)[0]),
            )
        )
        shuffled = np.random.default_rng(order).permutation(len(sequences)).tolist()
        self._sequences = [sequences[i] for i in shuffled]
        self._cell = cell
        self._background = background
        self._adapters = [p for p in self.model.parameters() if p.requires_grad]
        self._masters = [p.detach().float().clone().requires_grad_() for p in self._adapters]
        self._torch_optimizer = torch.optim.AdamW(
            self._masters, lr=cell.learning_rate, betas=(0.9, 0.999), weight_decay=WEIGHT_DECAY
        )
        self.losses: list[float] = []

    def train(self, steps: int) -> None:
        """Go on until so many steps are made.

        Raises:
            Diverged: a step's loss is not finite; it is the last of `losses`.
        """
        self.model.train()
        while len(self.losses) < steps:
            with self._background.piece():
                self._step(len(self.losses))
        self.model.eval()

    def _step(self, step: int) -> None:
        stream = np.random.SeedSequence([self._seed, step]).generate_state(1, np.uint64)
        Dropout.seed(int(stream[0]) % 2**63, torch.device("cpu"))
        first = step * self._cell.batch
        forest = plant(self._sequences[first : first + self._cell.batch])
        loss = -lean.log_likelihoods(self.model, forest).mean()
        gradients = torch.autograd.grad(loss, self._adapters)
        self.losses.append(loss.item())
        if not math.isfinite(self.losses[-1]):
            raise Diverged
        self._torch_optimizer.param_groups[0]["lr"] = self._cell.learning_rate * (
            0.5 if step == 0 else 1
        )
        for master, gradient in zip(self._masters, gradients, strict=True):
            master.grad = gradient.float()
        self._torch_optimizer.step()
        with torch.no_grad():
            for master, adapter in zip(self._masters, self._adapters, strict=True):
                adapter.copy_(master)

    def branch_sums(self, sequences: Sequence[Branching]) -> Floats:
        """Return the log-likelihood of every branch in nats, in the order of the sequences."""
        firsts = np.cumsum([0] + [len(sequence.branches) for sequence in sequences])
        answer = np.empty(firsts[-1])
        for piece in groves(sequences, _SCORED_AT_ONCE):
            with self._background.piece(), torch.inference_mode():
                forest = plant([sequences[i] for i in piece])
                tokens: Tensor = lean.log_likelihoods(self.model, forest).double()
                n_branches = int(forest.owners[-1]) + 1
                sums = torch.zeros(n_branches, dtype=torch.float64)
                sums.index_add_(0, forest.owners, tokens)
            places = [np.arange(firsts[i], firsts[i + 1]) for i in piece]
            answer[np.concatenate(places)] = sums.numpy()
        return answer

    def item_losses(self, sequences: Sequence[Branching]) -> Floats:
        """Return the mean loss of each instruction's response, in nats a token."""
        lengths = np.array([len(sequence.branches[0]) for sequence in sequences], dtype=float)
        losses: Floats = -self.branch_sums(sequences) / lengths
        return losses
