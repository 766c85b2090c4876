"""What the routes of LoRA fine-tuning share of their settings: targets, and rules at the border."""

import math
from collections.abc import Iterable, Sequence

from objectives.trial import Goal

TARGETS = {  # the metric to optimise, and whether more of it is better
    "accuracy": ("hellaswag_acc", True),
    "accuracy_norm": ("hellaswag_acc_norm", True),
    "p_right": ("hellaswag_p_right", True),
    "heldout_loss": ("heldout_loss", False),
}

_UNITS = {"heldout_loss": "nats per token"}

_PARAMETERS = ("lora_rank", "lora_alpha", "lora_dropout", "learning_rate", "weight_decay")


def goal_of(target: str) -> dict[str, Goal]:
    """Return the goal of a target, one of `TARGETS`."""
    metric, more_is_better = TARGETS[target]
    return {metric: Goal(minimise=not more_is_better, unit=_UNITS.get(metric, ""))}


def expect_parameters(names: Sequence[str]) -> None:
    """Raise ValueError unless a space has the five hyperparameters and no others."""
    if sorted(names) != sorted(_PARAMETERS):
        raise ValueError(f"objective.space: expected {list(_PARAMETERS)}, got {list(names)}")


def one_of(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise ValueError unless a setting is one of the words allowed."""
    if value not in choices:
        raise ValueError(f"objective.{name}: expected one of {list(choices)}, got {value}")


def whole(name: str, value: int, lowest: int) -> int:
    """Return a setting; raise ValueError unless it is a whole number, not below the lowest."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"objective.{name}: expected a whole number >= {lowest}, got {value!r}")
    return value


def positive(name: str, value: float) -> float:
    """Return a setting; raise ValueError unless it is a positive, finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"objective.{name}: expected a positive number, got {value!r}")
    return value
