"""The table's task: the instructions for training and for scoring, and the model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from litgpt.lora import GPT

from objectives.lora_ft import scoring
from objectives.lora_ft.data import Data, subset
from objectives.lora_ft.encoding import Encoder
from objectives.lora_ft.model import Adapters, BaseModel
from objectives.lora_ft.packing import Branching
from objectives.lora_ft.scoring import Floats
from objectives.lora_ft.settings import PRESETS, Hyperparameters
from objectives.lora_ft.team import Team
from objectives.lora_ft.training import Finetuning, Plan, start_seed
from objectives.lora_ft.workbench import split
from objectives.lora_table.cells import INSTRUCTIONS, REFERENCE, Training

DATA_SEED = 1337  # of the split into training and held-out instructions, and of HellaSwag's items
PRECISION = "bf16"
MAX_LENGTH = 128  # tokens of prompt and response
SELECTION_ITEMS = {"1/9": 24, "1/3": 48, "1": 128}  # each set is the beginning of the next
TEST_ITEMS = 128
HELLASWAG_ITEMS = 64
DROPOUT = 0.05
WEIGHT_DECAY = 0.01
PLAN = Plan(
    instructions=INSTRUCTIONS,
    warmup_steps=1,
    schedule="constant",
    min_lr=0.0,
    betas=(0.9, 0.999),
    clip_norm=None,
    pieces=1,
)


class Bench:
    """The base weights and the tokenised data."""

    def __init__(self, data: Data, folder: Path) -> None:
        self.base = BaseModel(folder, torch.device("cpu"), PRECISION)
        encoder = Encoder(folder, self.base.max_length, MAX_LENGTH, True)
        training, heldout = split(data.instructions, DATA_SEED)
        self.training = encoder.instructions(training, INSTRUCTIONS)
        n_selection = SELECTION_ITEMS["1"]
        others = encoder.instructions(heldout, n_selection + TEST_ITEMS)
        if len(self.training) < INSTRUCTIONS or len(others) < n_selection + TEST_ITEMS:
            raise ValueError(
                f"objective.data: expected {INSTRUCTIONS} instructions to train on and "
                f"{n_selection + TEST_ITEMS} held out, got {len(self.training)} and {len(others)}"
            )
        self.selection, self.test = others[:n_selection], others[n_selection:]
        self.questions = subset(data.hellaswag, HELLASWAG_ITEMS, DATA_SEED)
        self.endings = [encoder.question(question) for question in self.questions]

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
        return Finetuning(model, PLAN, chosen, self.training, training.train_seed)

    def untrained(self) -> GPT:
        """Return the model that every training starts from."""
        return self.begun(Training(REFERENCE, 0, "reference")).model.eval()


def item_losses(team: Team, model: GPT, sequences: Sequence[Branching]) -> Floats:
    """Return the mean loss of each instruction's response, in nats per token."""
    return scoring.losses(sequences, scoring.branch_sums(team, model, sequences))


def hellaswag_items(
    team: Team, model: GPT, bench: Bench
) -> tuple[dict[str, float], dict[str, str]]:
    """Return HellaSwag's means and its packed items."""
    judged = scoring.outcomes(bench.questions, scoring.branch_sums(team, model, bench.endings))
    means = {
        "hellaswag_acc": float(judged.right.mean()),
        "hellaswag_acc_norm": float(judged.right_norm.mean()),
        "hellaswag_p_right": float(np.round(judged.p_right.mean(), 6)),
    }
    items = {
        "hellaswag p_right": scoring.pack_floats(judged.p_right),
        "hellaswag right": scoring.pack_bits(judged.right),
        "hellaswag right_norm": scoring.pack_bits(judged.right_norm),
    }
    return means, items
