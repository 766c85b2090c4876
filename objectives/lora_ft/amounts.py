"""The amounts of training and scoring: a plan, fidelities and sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from ConfigSpace import ConfigurationSpace

from objectives import expected
from objectives.lora_ft.schedule import SCHEDULES
from objectives.lora_ft.settings import CHANGEABLE, betas_of
from objectives.lora_ft.training import Plan
from objectives.lora_ft.workbench import Sizes
from objectives.trial import Fidelities

_LEAST = {
    "pieces": 1,
    "heldout_items": 1,
    "test_items": 0,
    "max_length": 1,
    "data_seed": 0,
}
"""The least value of each setting that is an integer with no other condition."""


class AmountSettings(TypedDict):
    """The settings that `Amounts` takes."""

    steps: int
    warmup_steps: int
    schedule: str
    min_lr: float
    betas: Sequence[float]
    clip_norm: float | None
    pieces: int
    heldout_items: int
    test_items: int
    hellaswag_items: int | None
    mmlu_items: int | None
    max_length: int
    mask_prompt: bool
    data_seed: int


@dataclass(frozen=True)
class Amounts:
    """The amounts of training and scoring; `conf/objective/route/in_process.yaml` describes them.

    Raises:
        ValueError: a setting cannot be used.
    """

    steps: int
    warmup_steps: int
    schedule: str
    min_lr: float
    betas: Sequence[float]
    clip_norm: float | None
    pieces: int
    heldout_items: int
    test_items: int
    hellaswag_items: int | None
    mmlu_items: int | None
    max_length: int
    mask_prompt: bool
    data_seed: int

    def __post_init__(self) -> None:
        expected.one_of("objective.schedule", self.schedule, SCHEDULES)
        expected.whole("objective.steps", self.steps, 1)
        if not 0 <= expected.whole("objective.warmup_steps", self.warmup_steps, 0) < self.steps:
            raise ValueError(
                f"objective.warmup_steps: expected fewer than steps={self.steps}, got "
                f"{self.warmup_steps}"
            )
        expected.number("objective.min_lr", self.min_lr, least=0)
        expected.null_or(expected.number, "objective.clip_norm", self.clip_norm, above=0)
        for name, least in _LEAST.items():
            expected.whole(f"objective.{name}", getattr(self, name), least)
        expected.null_or(expected.whole, "objective.hellaswag_items", self.hellaswag_items, 1)
        expected.null_or(expected.whole, "objective.mmlu_items", self.mmlu_items, 0)

    def plan(self, batch: int) -> Plan:
        """Return the plan by which every configuration is trained.

        Args:
            batch: the batch size that the number of steps refers to.
        """
        return Plan(
            instructions=self.steps * expected.whole("objective.batch", batch, 1),
            warmup_steps=self.warmup_steps,
            schedule=self.schedule,
            min_lr=self.min_lr,
            betas=betas_of(self.betas),
            clip_norm=self.clip_norm,
            pieces=self.pieces,
        )

    def sizes(self, instructions: int) -> Sizes:
        """Return the amounts of data that are used, with this number of training instructions."""
        return Sizes(
            train_items=instructions,
            heldout_items=self.heldout_items,
            test_items=self.test_items,
            hellaswag_items=self.hellaswag_items,
            mmlu_items=self.mmlu_items,
            max_length=self.max_length,
            mask_prompt=self.mask_prompt,
            seed=self.data_seed,
        )


def fidelities_of(plan: Plan, space: ConfigurationSpace, batch: int) -> Fidelities:
    """Return the shares of the training that are whole numbers of steps for every configuration.

    Raises:
        ValueError: a batch size of the space does not divide the number of instructions.
    """
    batches = _batches(space) or [batch]
    for each in batches:
        if plan.instructions % each or plan.instructions // each <= plan.warmup_steps:
            raise ValueError(
                "objective.space.batch: expected divisors of steps x batch = "
                f"{plan.instructions} that leave more than warmup_steps={plan.warmup_steps} "
                f"steps, got {each}"
            )
    steps = math.gcd(*(plan.instructions // each for each in batches))
    shares = tuple(n / steps for n in range(1, steps + 1) if steps % n == 0)
    return Fidelities(shares, CHANGEABLE)


def _batches(space: ConfigurationSpace) -> list[int]:
    """Return the values of the parameter `batch`; none if the space has no such parameter."""
    if "batch" not in space:
        return []
    parameter: Any = space["batch"]
    if hasattr(parameter, "lower"):
        return list(range(int(parameter.lower), int(parameter.upper) + 1))
    listed = getattr(parameter, "choices", None) or getattr(parameter, "sequence", None)
    return [int(value) for value in (listed if listed is not None else [parameter.value])]
