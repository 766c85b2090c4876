"""AdamW on LoRA's adapters, as LitGPT's `finetune_lora` trains them.

AdamW (Loshchilov and Hutter 2019) with betas .9 and .999, linear warm-up, then half a cosine to
zero, no gradient clipping; the loss is the mean over the target tokens of a batch. Departures
from LitGPT's script: the first step's rate is not zero (with few steps one more would be lost),
and the optimizer works on float32 copies of the adapters, so that a small step is not rounded
away in bfloat16.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from litgpt.lora import GPT
from torch import Tensor

from objectives.lora_ft.model import Dropout, log_likelihoods
from objectives.lora_ft.packing import Branching, pack, rows
from objectives.lora_ft.team import ROW_LENGTH, Team


class Diverged(Exception):
    """The training loss is not a finite number."""


@dataclass(frozen=True)
class Schedule:
    """How long to train.

    Attributes:
        steps: steps of the whole schedule.
        warmup_steps: of which the rate rises linearly.
        batch: sequences a step.
    """

    steps: int
    warmup_steps: int
    batch: int

    def rate(self, step: int) -> float:
        """Return the share of the peak learning rate at a step, 0-based."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        done = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        return (1 + math.cos(math.pi * done)) / 2


def train(
    team: Team,
    model: GPT,
    sequences: Sequence[Branching],
    schedule: Schedule,
    n_steps: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
) -> list[float]:
    """Train the adapters through the first `n_steps` of the schedule.

    Args:
        team: computes the rows of a batch.
        model: with adapters at their start; changed in place.
        sequences: in the order of training; begun again when they are used up.
        seed: of the dropout. The global generators are left as they were.

    Returns:
        The loss of each step before it was made, in nats per target token.

    Raises:
        Diverged: a loss is NaN or infinite.
    """
    adapters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    masters = [adapter.detach().float().clone().requires_grad_() for adapter in adapters]
    torch_optimizer = torch.optim.AdamW(
        masters, lr=learning_rate, betas=(0.9, 0.999), weight_decay=weight_decay
    )
    losses: list[float] = []
    model.train()
    for step in range(n_steps):
        first = step * schedule.batch
        chosen = [sequences[(first + i) % len(sequences)] for i in range(schedule.batch)]
        loss, gradients = _gradients(team, model, adapters, chosen, (seed, step))
        losses.append(loss)
        if not math.isfinite(loss):
            raise Diverged(f"training loss is {loss} at step {step + 1} of {n_steps}")
        for master, gradient in zip(masters, gradients, strict=True):
            master.grad = gradient
        for group in torch_optimizer.param_groups:
            group["lr"] = learning_rate * schedule.rate(step)
        torch_optimizer.step()
        with torch.no_grad():
            for master, adapter in zip(masters, adapters, strict=True):
                adapter.copy_(master)
    model.eval()
    return losses


def _gradients(
    team: Team,
    model: GPT,
    adapters: Sequence[Tensor],
    sequences: Sequence[Branching],
    seed: tuple[int, int],
) -> tuple[float, list[Tensor]]:
    """Return the batch's loss and its float32 gradients, summed in the order of the pieces."""
    n_targets = sum(len(branch) for sequence in sequences for branch in sequence.branches)

    def work(layout: list[list[Branching]], number: int) -> tuple[float, list[Tensor]]:
        stream = np.random.SeedSequence([*seed, number]).generate_state(1, np.uint64)
        Dropout.seed(int(stream[0]) % 2**63, adapters[0].device)
        packed = pack(layout).to(adapters[0].device)
        loss = -log_likelihoods(model, packed).sum() / n_targets
        gradients = torch.autograd.grad(loss, adapters)
        return loss.item(), [gradient.float() for gradient in gradients]

    pieces = team.map(work, sequences, rows(sequences, ROW_LENGTH))
    total = [sum(parts[1:], start=parts[0]) for parts in zip(*(g for _, g in pieces), strict=True)]
    return sum(loss for loss, _ in pieces), total
