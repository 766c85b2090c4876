"""A task's model and items, and how a cell is trained and scored on them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from litgpt.lora import GPT

from objectives.items import pack_bits, pack_floats
from objectives.lora_ft import scoring
from objectives.lora_ft.data import Data
from objectives.lora_ft.encoding import Encoder
from objectives.lora_ft.model import Adapters, BaseModel
from objectives.lora_ft.packing import Branching
from objectives.lora_ft.scoring import Floats
from objectives.lora_ft.settings import PRESETS, Hyperparameters
from objectives.lora_ft.team import Team
from objectives.lora_ft.training import Finetuning, Plan, start_seed
from objectives.lora_table.cells import REFERENCE, Training
from objectives.lora_table.drawn import MAX_LENGTH, draw
from objectives.lora_table.tasks import Task

PRECISION = "bf16"
DROPOUT = 0.05
WEIGHT_DECAY = 0.01


class Bench:
    """The base weights and a task's tokenised items."""

    def __init__(self, task: Task, data: Data, folder: Path) -> None:
        self.task = task
        self.base = BaseModel(folder, torch.device("cpu"), PRECISION)
        self.items = draw(task, data, Encoder(folder, self.base.max_length, MAX_LENGTH, True))

    def begun(self, training: Training) -> Finetuning:
        """Return a training before its first step."""
        cell = training.cell
        chosen = Hyperparameters(
            rank=cell.rank,
            alpha=cell.alpha,
            dropout=DROPOUT,
            learning_rate=cell.learning_rate,
            weight_decay=WEIGHT_DECAY,
            matrices=PRESETS[cell.matrices],
            batch=cell.batch,
        )
        adapters = Adapters(
            rank=chosen.rank,
            alpha=chosen.alpha,
            dropout=chosen.dropout,
            matrices=chosen.matrices,
            seed=start_seed(training.train_seed),
        )
        model = self.base.adapted(adapters)
        plan = Plan(
            instructions=self.task.items,
            warmup_steps=1,
            schedule="constant",
            min_lr=0.0,
            betas=(0.9, 0.999),
            clip_norm=None,
            pieces=1,
        )
        return Finetuning(model, plan, chosen, self.items.training, training.train_seed)

    def untrained(self) -> GPT:
        """Return the model that every training starts from."""
        return self.begun(Training(REFERENCE, 0, "reference")).model.eval()


def item_losses(team: Team, model: GPT, sequences: Sequence[Branching]) -> Floats:
    """Return the mean loss of each item's response, in nats per token."""
    return scoring.losses(sequences, scoring.branch_sums(team, model, sequences))


def answers(team: Team, model: GPT, bench: Bench) -> tuple[dict[str, float], dict[str, str]]:
    """Return the means over the multiple-choice questions and the packed items."""
    items = bench.items
    judged = scoring.outcomes(items.questions, scoring.branch_sums(team, model, items.endings))
    means = {
        "hellaswag_acc": float(judged.right.mean()),
        "hellaswag_acc_norm": float(judged.right_norm.mean()),
        "hellaswag_p_right": float(np.round(judged.p_right.mean(), 6)),
    }
    packed = {
        "hellaswag p_right": pack_floats(judged.p_right),
        "hellaswag right": pack_bits(judged.right),
        "hellaswag right_norm": pack_bits(judged.right_norm),
    }
    return means, packed
