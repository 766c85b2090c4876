"""AdamW on LoRA's adapters, as LitGPT's `finetune_lora` trains them, step by step.

The optimizer is AdamW (Loshchilov and Hutter 2019), with a linear warm-up and then a constant rate
or half a cosine. The loss is the mean over the target tokens of a step. There are two departures
from LitGPT's script. The rate of the first step is not zero, because with few steps this step would
be wasted. The optimizer works on float32 copies of the adapters, so that a small step is not lost
by rounding to bfloat16.

A shortened training is a prefix of the full one, and a training continued from its state equals the
full one bit by bit, because order and dropout are functions of the seed and the step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from litgpt.lora import GPT
from torch import Tensor

from objectives.lora_ft.forest import shared
from objectives.lora_ft.model import Dropout, set_dropout
from objectives.lora_ft.packing import Branching
from objectives.lora_ft.reading import read
from objectives.lora_ft.schedule import after_warmup
from objectives.lora_ft.settings import Hyperparameters
from objectives.lora_ft.team import Team


class Diverged(Exception):
    """The training loss is not a finite number."""


@dataclass(frozen=True)
class Plan:
    """The plan by which every configuration is trained.

    Attributes:
        instructions: their total number, which is a multiple of each configuration's batch.
        warmup_steps: the number of steps in which the rate rises linearly.
        schedule: the schedule of the rate after these steps, one of `SCHEDULES`.
        min_lr: the final rate of the cosine schedule, unless the peak is lower.
        betas: the two betas of AdamW.
        clip_norm: the largest norm of all gradients together; None means no clipping.
        pieces: the number of pieces of a step, which are distributed over threads.
    """

    instructions: int
    warmup_steps: int
    schedule: str
    min_lr: float
    betas: tuple[float, float]
    clip_norm: float | None
    pieces: int

    def rate(self, step: int, peak: float, batch: int) -> float:
        """Return the learning rate of a step, 0-based."""
        if step < self.warmup_steps:
            return peak * (step + 1) / (self.warmup_steps + 1)
        n_steps = self.instructions // batch
        done = (step - self.warmup_steps) / (n_steps - self.warmup_steps)
        return after_warmup(self.schedule, done, peak, self.min_lr)


class Finetuning:
    """A model in training.

    Args:
        model: the model with untrained adapters, which is changed in place.
        sequences: the training sequences, in the order of the data.
        seed: the seed of the order and of the dropout. Global generators are not changed.

    Attributes:
        losses: the loss of each step before its update, in nats per target token.
    """

    def __init__(
        self,
        model: GPT,
        plan: Plan,
        chosen: Hyperparameters,
        sequences: Sequence[Branching],
        seed: int,
    ) -> None:
        self.model = model
        self.losses: list[float] = []
        self._plan, self._seed = plan, seed
        _, order = streams(seed)
        shuffled = np.random.default_rng(order).permutation(len(sequences)).tolist()
        self._sequences = [sequences[i] for i in shuffled]
        self._adapters = [p for p in model.parameters() if p.requires_grad]
        self._masters = [p.detach().float().clone().requires_grad_() for p in self._adapters]
        self._torch_optimizer = torch.optim.AdamW(self._masters, betas=plan.betas)
        self.change(chosen)

    def change(self, chosen: Hyperparameters) -> None:
        """Continue with another learning rate, weight decay or dropout."""
        self._chosen = chosen
        self._torch_optimizer.param_groups[0]["weight_decay"] = chosen.weight_decay
        set_dropout(self.model, chosen.dropout)

    def follow(
        self,
        team: Team,
        parts: Sequence[tuple[Hyperparameters, int]],
        state: dict[str, Any] | None,
    ) -> None:
        """Train by parts, each with the number of steps that are done at its end.

        Args:
            team: the threads that share the work.
            parts: the hyperparameters and the last step of each part, in order.
            state: the state of a training by the same parts, to continue from; None begins anew.

        Raises:
            Diverged: a loss is NaN or infinite.
        """
        if state is not None:
            self.restore(state)
        for chosen, until in parts:
            if until > len(self.losses):
                self.change(chosen)
                self.train(team, until)
        self.model.eval()

    def train(self, team: Team, steps: int) -> None:
        """Train until this number of steps is done.

        Raises:
            Diverged: a loss is NaN or infinite.
        """
        self.model.train()
        for step in range(len(self.losses), steps):
            self.step(team)
            if not math.isfinite(self.losses[-1]):
                raise Diverged(f"training loss is {self.losses[-1]} at step {step + 1} of {steps}")
        self.model.eval()

    def step(self, team: Team) -> None:
        """Do one step, unless its loss is not finite."""
        step, chosen = len(self.losses), self._chosen
        first = step * chosen.batch
        n = len(self._sequences)
        batch = [self._sequences[(first + i) % n] for i in range(chosen.batch)]
        loss, gradients = self._gradients(team, batch, step)
        self.losses.append(loss)
        if not math.isfinite(loss):
            return
        if self._plan.clip_norm is not None:
            _clip(gradients, self._plan.clip_norm)
        for master, gradient in zip(self._masters, gradients, strict=True):
            master.grad = gradient
        rate = self._plan.rate(step, chosen.learning_rate, chosen.batch)
        self._torch_optimizer.param_groups[0]["lr"] = rate
        self._torch_optimizer.step()
        self._copy()

    def _gradients(
        self, team: Team, sequences: Sequence[Branching], step: int
    ) -> tuple[float, list[Tensor]]:
        """Return the step's loss and its float32 gradients, summed in the order of the pieces."""
        n_targets = sum(len(branch) for sequence in sequences for branch in sequence.branches)
        device = self._adapters[0].device

        def work(number: int, piece: list[int]) -> tuple[float, list[Tensor]]:
            words = np.random.SeedSequence([self._seed, step, number]).generate_state(1, np.uint64)
            Dropout.seed(int(words[0]) % 2**63, device)
            reading = read(self.model, [sequences[i] for i in piece])
            loss = -reading.log_likelihoods.sum() / n_targets
            gradients = torch.autograd.grad(loss, self._adapters)
            return loss.item(), [gradient.float() for gradient in gradients]

        pieces = team.map(work, shared(sequences, self._plan.pieces))
        total = pieces[0][1]
        for _, more in pieces[1:]:
            total = [gradient + other for gradient, other in zip(total, more, strict=True)]
        return sum(loss for loss, _ in pieces), total

    def _copy(self) -> None:
        with torch.no_grad():
            for master, adapter in zip(self._masters, self._adapters, strict=True):
                adapter.copy_(master)

    def state(self) -> dict[str, Any]:
        """Return the state from which `restore` can continue."""
        return {
            "losses": self.losses,
            "masters": [master.detach() for master in self._masters],
            "torch_optimizer": self._torch_optimizer.state_dict()["state"],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state of a training with the same adapters."""
        self.losses = list(state["losses"])
        with torch.no_grad():
            for master, stored in zip(self._masters, state["masters"], strict=True):
                master.copy_(stored)
        groups = self._torch_optimizer.state_dict()["param_groups"]
        self._torch_optimizer.load_state_dict(
            {"state": state["torch_optimizer"], "param_groups": groups}
        )
        self._copy()


def streams(seed: int) -> tuple[np.random.SeedSequence, np.random.SeedSequence]:
    """Return the random streams of the adapters' initial values and of the order."""
    start, order = np.random.SeedSequence(seed).spawn(2)
    return start, order


def start_seed(seed: int) -> int:
    """Return the seed of the adapters' initial values."""
    return int(streams(seed)[0].generate_state(1)[0])


def _clip(gradients: Sequence[Tensor], limit: float) -> None:
    norm = math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients))
    if norm > limit:
        for gradient in gradients:
            gradient.mul_(limit / norm)
