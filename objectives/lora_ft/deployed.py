"""The LitGPT command that trains the adapters of a configuration, as data for the log's header.

If LitGPT has the schedule, the command is `litgpt`. Otherwise it is `launch.py`, which reads the
same flags and a few more.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives.deployment import Deployment, Entry
from objectives.lora_ft.command_lines import schedule_flags
from objectives.lora_ft.settings import MATRICES, matrices_of
from objectives.trial import Value

OUT = "out/finetuned"
"""The folder of the result in the printed command."""

_PRECISIONS = {"bf16": "bf16-true", "fp32": "32-true"}
_MOST = 64  # values of a parameter that the command lists one by one


def deployment(
    space: ConfigurationSpace,
    fixed: Mapping[str, Any],
    *,
    model: str,
    data: Sequence[str],
    precision: str,
    devices: int,
    micro_batch: int | None,
    epochs: int,
    instructions: int | None,
    max_length: int | None,
    mask_prompt: bool,
    warmup_steps: int,
    schedule: str,
    min_lr: float,
    betas: Sequence[float],
    clip_norm: float | None,
    seed: int,
    more: Sequence[str] = (),
) -> Deployment:
    """Return the command that trains a configuration in full.

    Args:
        space: the space, whose parameters become placeholders.
        fixed: the values of the hyperparameters that the space does not contain.
        model: the LitGPT checkpoint folder, or the name of the model.
        data: the flags that choose LitGPT's data module.
        micro_batch: the number of instructions that are processed at once; None means a whole step.
        instructions: the number of instructions of all steps together; None means all epochs.
        more: further flags, which follow.
    """

    def of(name: str) -> str:
        return f"{{{name}}}" if name in space else json.dumps(fixed[name])

    init = (
        f'"lr": {of("learning_rate")}, "weight_decay": {of("weight_decay")}, '
        f'"betas": {json.dumps(list(betas))}'
    )
    own = schedule_flags(schedule, min_lr)
    start = ["python", "-m", "objectives.lora_ft.launch"] if own else ["litgpt"]
    limits = [] if max_length is None else [f"--train.max_seq_length={max_length}"]
    clipped = [] if clip_norm is None else [f"--train.max_norm={clip_norm}"]
    words: list[Entry] = [
        *start,
        "finetune_lora",
        model,
        f"--out_dir={OUT}",
        f"--precision={_PRECISIONS.get(precision, precision)}",
        f"--devices={devices}",
        f"--lora_r={of('lora_rank')}",
        f"--lora_alpha={of('lora_alpha')}",
        f"--lora_dropout={of('lora_dropout')}",
        *_matrices(space, fixed),
        *data,
        f"--data.mask_prompt={json.dumps(mask_prompt)}",
        f"--train.epochs={epochs}",
        *_steps(space, fixed, instructions),
        *limits,
        f"--train.lr_warmup_steps={warmup_steps}",
        f"--train.global_batch_size={of('batch')}",
        f"--train.micro_batch_size={of('batch') if micro_batch is None else micro_batch}",
        *clipped,
        f'--optimizer={{"class_path": "torch.optim.AdamW", "init_args": {{{init}}}}}',
        f"--seed={seed}",
        *more,
        *own,
    ]
    return Deployment("LitGPT", words)


def _matrices(space: ConfigurationSpace, fixed: Mapping[str, Any]) -> list[Entry]:
    """Return the flags that determine which weight matrices have adapters."""

    def flags(chosen: Any) -> list[Entry]:
        named = matrices_of("objective.matrices", chosen)
        return [f"--lora_{name}={json.dumps(name in named)}" for name in MATRICES]

    if "matrices" not in space:
        return flags(fixed["matrices"])
    return [
        {"by": "matrices", "cases": {str(one): flags(one) for one in _values(space["matrices"])}}
    ]


def _steps(
    space: ConfigurationSpace, fixed: Mapping[str, Any], instructions: int | None
) -> list[Entry]:
    """Return the flag that limits the steps; a tuned batch changes their number."""
    if instructions is None:
        return []
    if "batch" not in space:
        return [f"--train.max_steps={instructions // int(fixed['batch'])}"]
    steps = {str(b): instructions // int(b) for b in _values(space["batch"])}
    return [
        {"by": "batch", "cases": {b: [f"--train.max_steps={n}"] for b, n in steps.items()}},
    ]


def _values(parameter: Any) -> Sequence[Value]:
    """Return the values of a parameter that has finitely many values."""
    if hasattr(parameter, "lower"):
        return [*range(int(parameter.lower), int(parameter.upper) + 1)][:_MOST]
    listed = getattr(parameter, "choices", None) or getattr(parameter, "sequence", None)
    values = [parameter.value] if listed is None else list(listed)
    return [value.item() if hasattr(value, "item") else value for value in values]
