"""The settings that the routes of LoRA fine-tuning share: targets, hyperparameters, rules."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives import expected
from objectives.space import check, constants
from objectives.trial import Config, Fidelities, Goal, Value

TARGETS = {  # the metric to optimise, and whether a larger value is better
    "accuracy": ("hellaswag_acc", True),
    "accuracy_norm": ("hellaswag_acc_norm", True),
    "p_right": ("hellaswag_p_right", True),
    "heldout_loss": ("heldout_loss", False),
}
MATRICES = ("query", "key", "value", "projection", "mlp", "head")
PRESETS = {
    "attention": ("query", "key", "value", "projection"),
    "attention_mlp": ("query", "key", "value", "projection", "mlp"),
}
DEFAULT: Config = {  # a usual starting point; a small rate, as for full fine-tuning
    "lora_rank": 16,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "learning_rate": 1.7e-4,
    "weight_decay": 0.01,
    "matrices": "attention",
    "batch": 4,
}
CHANGEABLE = ("learning_rate", "weight_decay", "lora_dropout")  # of a continued checkpoint

_UNITS = {"heldout_loss": "nats per token"}
_PARAMETERS = ("lora_rank", "lora_alpha", "lora_dropout", "learning_rate", "weight_decay")
_WHOLE = ("lora_rank", "lora_alpha", "batch")
_SUPREMA = {"lora_dropout": 1.0}  # upper bounds, themselves excluded


def goal_of(target: str) -> dict[str, Goal]:
    """Return the goal of a target, one of `TARGETS`."""
    metric, more_is_better = TARGETS[target]
    return {metric: Goal(minimise=not more_is_better, unit=_UNITS.get(metric, ""))}


@dataclass(frozen=True)
class Hyperparameters:
    """A configuration, with the fixed settings for parameters that the space does not tune."""

    rank: int
    alpha: int
    dropout: float
    learning_rate: float
    weight_decay: float
    matrices: tuple[str, ...]
    batch: int


def hyperparameters(config: Config, fixed: Mapping[str, Any]) -> Hyperparameters:
    """Read a configuration; `fixed` holds the values that it leaves out."""
    chosen = {**fixed, **config}
    return Hyperparameters(
        rank=int(chosen["lora_rank"]),
        alpha=int(chosen["lora_alpha"]),
        dropout=float(chosen["lora_dropout"]),
        learning_rate=float(chosen["learning_rate"]),
        weight_decay=float(chosen["weight_decay"]),
        matrices=matrices_of("objective.matrices", chosen["matrices"]),
        batch=int(chosen["batch"]),
    )


def matrices_of(where: str, chosen: Any) -> tuple[str, ...]:
    """Return the names in a list, in a preset, or in a text such as `query+value`.

    Raises:
        ValueError: a name is unknown, or the list is empty.
    """
    if isinstance(chosen, str):
        chosen = PRESETS.get(chosen, chosen.split("+"))
    for name in [*chosen] or ["none"]:
        expected.one_of(where, name, MATRICES)
    return tuple(chosen)


def expect_parameters(space: ConfigurationSpace, fixed: Iterable[str] = ()) -> None:
    """Raise ValueError unless a space has only tunable parameters with permitted values.

    Args:
        fixed: the values of the settings for parameters that the space does not tune.
    """
    fixed = set(fixed)
    required = [name for name in _PARAMETERS if name not in fixed]
    expected.parameters("objective.space", space, required, sorted(fixed))
    for name in space:
        for key, value in _stated(space[name]):
            _expect(f"objective.space.{name}.{key}", name, value)


def _stated(parameter: Any) -> Iterator[tuple[str, Value]]:
    """Yield the keys of a description that hold a parameter's values, with the values."""
    if hasattr(parameter, "lower"):
        if isinstance(parameter.lower, float) and parameter.name in _WHOLE:
            raise ValueError(f"objective.space.{parameter.name}.type: expected int, got float")
        yield from (("lower", parameter.lower), ("upper", parameter.upper))
        return
    listed = getattr(parameter, "choices", None) or getattr(parameter, "sequence", None)
    for value in listed if listed is not None else [parameter.value]:
        yield "choices" if listed is not None else "value", value


def _expect(where: str, name: str, value: Value) -> None:
    if name == "matrices":
        matrices_of(where, value)
    elif name in _WHOLE:
        expected.whole(where, value, 1)
    else:
        expected.number(where, value, least=0, below=_SUPREMA.get(name))


def default_of(space: ConfigurationSpace) -> Config | None:
    """Return the usual configuration if the space contains it."""
    config = {**{name: DEFAULT[name] for name in space}, **constants(space)}
    try:
        check(space, config)
    except ValueError:
        return None
    return config


def betas_of(betas: Sequence[float]) -> tuple[float, float]:
    """Return AdamW's two betas; raise ValueError unless they are numbers in [0, 1)."""
    if not isinstance(betas, Sequence) or len(betas) != 2:
        expected.refuse("objective.betas", "two numbers", betas)
    first, second = (
        expected.number(f"objective.betas.{place}", beta, least=0, below=1)
        for place, beta in enumerate(betas)
    )
    return float(first), float(second)


def expect_share(fidelities: Fidelities | None, fidelity: float) -> float:
    """Return the share of the grid that equals a fidelity; raise ValueError if no share does."""
    grid = (1.0,) if fidelities is None else fidelities.grid
    for share in grid:
        if math.isclose(share, fidelity, rel_tol=1e-6):
            return share
    shown = ", ".join(f"{share:.4g}" for share in grid)
    raise ValueError(f"fidelity: expected one of {shown}, got {fidelity:g}")
