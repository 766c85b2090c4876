"""The data shared by all evaluations: base weights on a device, and tokenised items."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from objectives.lora_ft.data import Data, Instruction, Question, subset
from objectives.lora_ft.encoding import Encoder
from objectives.lora_ft.model import BaseModel
from objectives.lora_ft.packing import Branching

_HELDOUT_SHARE = 20  # one instruction in twenty is held out,
_HELDOUT_MOST = 4  # or as many as requested, up to one in four


@dataclass(frozen=True)
class Sizes:
    """The amounts of data used.

    Attributes:
        train_items: the maximum number of training instructions.
        heldout_items, test_items: the numbers of instructions for the held-out loss and the test.
        hellaswag_items, mmlu_items: the numbers of questions; None for all.
        max_length: the number of tokens at which prompt and response are truncated.
        mask_prompt: whether only the response is a target.
        seed: the seed of all random draws.
    """

    train_items: int
    heldout_items: int
    test_items: int
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
        n_heldout = sizes.heldout_items + sizes.test_items
        training, heldout = split(data.instructions, sizes.seed, n_heldout)
        self.training = encoder.instructions(training, sizes.train_items)
        others = encoder.instructions(heldout, n_heldout)
        self.heldout, self.test = others[: sizes.heldout_items], others[sizes.heldout_items :]
        if not self.training or not self.heldout:
            raise ValueError(
                f"objective.max_length: expected a length that leaves room for a response, "
                f"got {sizes.max_length}"
            )
        self.hellaswag = subset(data.hellaswag, sizes.hellaswag_items, sizes.seed)
        self.mmlu = () if sizes.mmlu_items == 0 else subset(data.mmlu, sizes.mmlu_items, sizes.seed)
        self._encoder = encoder
        self._questions: dict[tuple[Question, ...], list[Branching]] = {}

    def tokens(self, questions: tuple[Question, ...]) -> list[Branching]:
        """Return tokenised questions; each is encoded only once."""
        if questions not in self._questions:
            self._questions[questions] = [self._encoder.question(q) for q in questions]
        return self._questions[questions]


def split(
    instructions: Sequence[Instruction], seed: int, n_asked: int = 0
) -> tuple[list[Instruction], list[Instruction]]:
    """Shuffle the instructions and split them into training and held-out instructions.

    The same instruction with the same input is never in both.

    Args:
        n_asked: the number to hold out. One in twenty is, and more only if this is too few.
    """
    order = np.random.default_rng(seed).permutation(len(instructions)).tolist()
    most = max(len(order) // _HELDOUT_MOST, 1)
    n_heldout = max(len(order) // _HELDOUT_SHARE, min(n_asked, most), 1)
    heldout = [instructions[i] for i in order[:n_heldout]]
    known = {(item.instruction, item.input) for item in heldout}
    rest = (instructions[i] for i in order[n_heldout:])
    return [item for item in rest if (item.instruction, item.input) not in known], heldout
