"""Convert settings to the amounts of training and scoring: a plan, fidelities and sizes."""

import math
from collections.abc import Sequence
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives import expected
from objectives.lora_ft.schedule import SCHEDULES
from objectives.lora_ft.settings import (
    CHANGEABLE,
    betas_of,
)
from objectives.lora_ft.training import Plan
from objectives.lora_ft.workbench import Sizes
from objectives.trial import Fidelities


def plan_of(
    *,
    steps: int,
    batch: int,
    warmup_steps: int,
    schedule: str,
    min_lr: float,
    betas: Sequence[float],
    clip_norm: float | None,
    pieces: int,
) -> Plan:
    """Return the plan by which every configuration is trained.

    Raises:
        ValueError: a setting cannot be used.
    """
    expected.one_of("objective.schedule", schedule, SCHEDULES)
    expected.whole("objective.steps", steps, 1)
    if not 0 <= expected.whole("objective.warmup_steps", warmup_steps, 0) < steps:
        raise ValueError(
            f"objective.warmup_steps: expected fewer than steps={steps}, got {warmup_steps}"
        )
    return Plan(
        instructions=steps * expected.whole("objective.batch", batch, 1),
        warmup_steps=warmup_steps,
        schedule=schedule,
        min_lr=expected.number("objective.min_lr", min_lr, least=0),
        betas=betas_of(betas),
        clip_norm=expected.null_or(expected.number, "objective.clip_norm", clip_norm, above=0),
        pieces=expected.whole("objective.pieces", pieces, 1),
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


def sizes_of(
    *,
    instructions: int,
    heldout_items: int,
    test_items: int,
    hellaswag_items: int | None,
    mmlu_items: int | None,
    max_length: int,
    mask_prompt: bool,
    data_seed: int,
) -> Sizes:
    """Return the amounts of data that are used.

    Raises:
        ValueError: a setting cannot be used.
    """
    expected.null_or(expected.whole, "objective.hellaswag_items", hellaswag_items, 1)
    expected.null_or(expected.whole, "objective.mmlu_items", mmlu_items, 0)
    return Sizes(
        train_items=instructions,
        heldout_items=expected.whole("objective.heldout_items", heldout_items, 1),
        test_items=expected.whole("objective.test_items", test_items, 0),
        hellaswag_items=hellaswag_items,
        mmlu_items=mmlu_items,
        max_length=expected.whole("objective.max_length", max_length, 1),
        mask_prompt=mask_prompt,
        seed=expected.whole("objective.data_seed", data_seed, 0),
    )
