"""What every evaluation shares: base weights on a device, and the data as tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from objectives.lora_ft.data import Data, Instruction, Question, subset
from objectives.lora_ft.encoding import Encoder
from objectives.lora_ft.model import BaseModel
from objectives.lora_ft.packing import Branching

_HELDOUT_SHARE = 20  # one instruction in twenty is never trained on


@dataclass(frozen=True)
class Sizes:
    """How much of the data is used.

    Attributes:
        train_items: instructions trained on at most.
        heldout_items: instructions of the held-out loss.
        hellaswag_items, mmlu_items: questions; None: all.
        max_length: tokens at which prompt and response are cut.
        mask_prompt: whether the response alone is a target.
        seed: of every draw.
    """

    train_items: int
    heldout_items: int
    hellaswag_items: int | None
    mmlu_items: int | None
    max_length: int
    mask_prompt: bool
    seed: int


class Workbench:
    """Loads the model and encodes the data once."""

    def __init__(
        self, folder: Path, data: Data, sizes: Sizes, device: torch.device, precision: str
    ) -> None:
        self.base = BaseModel(folder, device, precision)
        encoder = Encoder(folder, self.base.max_length, sizes.max_length, sizes.mask_prompt)
        training, heldout = split(data.instructions, sizes.seed)
        self.training = encoder.instructions(training, sizes.train_items)
        self.heldout = encoder.instructions(heldout, sizes.heldout_items)
        if not self.training or not self.heldout:
            raise ValueError(
                f"objective.max_length: expected a length that leaves room for a response, "
                f"got {sizes.max_length}"
            )
        self.hellaswag = subset(data.hellaswag, sizes.hellaswag_items, sizes.seed)
        self.hellaswag_tokens = [encoder.question(question) for question in self.hellaswag]
        self._encoder = encoder
        self._mmlu = subset(data.mmlu, sizes.mmlu_items, sizes.seed)

    def mmlu(self) -> tuple[tuple[Question, ...], list[Branching]]:
        """Return the test questions and their tokens."""
        return self._mmlu, [self._encoder.question(question) for question in self._mmlu]


def split(
    instructions: Sequence[Instruction], seed: int
) -> tuple[list[Instruction], list[Instruction]]:
    """Shuffle the instructions and part them into those to train on and those held out.

    The same instruction with the same input is never in both.
    """
    order = np.random.default_rng(seed).permutation(len(instructions)).tolist()
    n_heldout = max(len(order) // _HELDOUT_SHARE, 1)
    heldout = [instructions[i] for i in order[:n_heldout]]
    known = {(item.instruction, item.input) for item in heldout}
    rest = (instructions[i] for i in order[n_heldout:])
    return [item for item in rest if (item.instruction, item.input) not in known], heldout
