"""The arguments of LitGPT 0.5's `finetune_lora` and `evaluate`, as the published study ran them.

The following settings of the study are known (Davouse and Talbi, OLA 2025, and its code): adapters
on query, key, value and the LM head; bf16-true; AdamW with betas 0.9 and 0.999; 100 warm-up steps
and then half a cosine; 16 instructions per step in micro-batches of one; seed 1337; one epoch of
the cleaned Alpaca without 2,000 rows; then lm_eval's `hellaswag` and `mmlu`. Unknown settings have
LitGPT's defaults.
"""

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from objectives import expected
from objectives.lora_ft.schedule import MIN_LR, SCHEDULE, SCHEDULE_STEPS, SCHEDULES
from objectives.lora_ft.settings import MATRICES, betas_of
from objectives.trial import Config

SCORING_DTYPES = {"bf16-true": "bfloat16", "32-true": "float32"}
QUANTIZATIONS = ("bnb.nf4", "bnb.nf4-dq", "bnb.fp4", "bnb.fp4-dq", "bnb.int8-training")


class TrainingSettings(TypedDict):
    """The settings that `Training` takes, apart from the matrices."""

    epochs: int
    max_steps: int | None
    warmup_steps: int
    batch: int
    micro_batch: int
    max_length: int | None
    mask_prompt: bool
    validate_every: int
    devices: int
    precision: str
    quantize: str | None
    betas: Sequence[float]
    schedule: str
    min_lr: float
    train_seed: int


@dataclass(frozen=True)
class Training:
    """The training of every configuration; `route/litgpt_cli.yaml` describes the fields.

    Raises:
        ValueError: a field has an invalid value.
    """

    matrices: tuple[str, ...]
    epochs: int
    max_steps: int | None
    warmup_steps: int
    batch: int
    micro_batch: int
    max_length: int | None
    mask_prompt: bool
    validate_every: int
    devices: int
    precision: str
    quantize: str | None
    betas: Sequence[float]
    schedule: str
    min_lr: float
    train_seed: int

    def __post_init__(self) -> None:
        for name in ("epochs", "warmup_steps", "batch", "micro_batch", "validate_every", "devices"):
            expected.whole(f"objective.{name}", getattr(self, name), 1)
        for name in ("max_steps", "max_length"):
            expected.null_or(expected.whole, f"objective.{name}", getattr(self, name), 1)
        expected.whole("objective.train_seed", self.train_seed, 0)
        expected.one_of("objective.precision", self.precision, SCORING_DTYPES)
        expected.one_of("objective.schedule", self.schedule, SCHEDULES)
        betas_of(self.betas)
        expected.number("objective.min_lr", self.min_lr, least=0)
        if self.quantize is not None:
            _expect_quantization(self.quantize, self.devices)
        for name in self.matrices or ("none",):
            expected.one_of("objective.matrices", name, MATRICES)
        if self.batch % (self.devices * self.micro_batch) != 0:
            raise ValueError(
                "objective.batch: expected a multiple of devices x micro_batch = "
                f"{self.devices} x {self.micro_batch}, got {self.batch}"
            )
        if self.max_steps is not None and self.warmup_steps >= self.max_steps:
            raise ValueError(
                f"objective.warmup_steps: expected fewer than max_steps={self.max_steps}, got "
                f"{self.warmup_steps}"
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """The permitted shares of the steps; only 1 if the training is set in epochs."""
        steps = self.max_steps or 1
        return tuple(n / steps for n in range(1, steps + 1) if steps % n == 0)


def _expect_quantization(quantize: str, devices: int) -> None:
    """Raise ValueError unless LitGPT can train adapters over weights with this quantisation."""
    expected.one_of("objective.quantize", quantize, QUANTIZATIONS)
    if devices > 1:
        raise ValueError(
            f"objective.quantize: expected null on several devices, as LitGPT has it, got "
            f"{quantize} on {devices}"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(
            f"objective.quantize: expected bitsandbytes, which {quantize} needs, got none; run "
            "`pip install bitsandbytes`"
        )


def finetune(
    training: Training,
    config: Config,
    checkpoint: Path,
    data: Sequence[str],
    max_steps: int | None,
    out: Path,
) -> list[str]:
    """Return the arguments that train one configuration and merge its adapters.

    Args:
        training: the settings that all configurations share.
        config: the five hyperparameters.
        checkpoint: folder of the base model.
        data: the flags that choose LitGPT's data module.
        max_steps: number of steps of the schedule to make; None means all steps of the epochs.
        out: folder of the result, in which `final` is a LitGPT checkpoint.
    """
    # `--optimizer AdamW --optimizer.lr ...` fails in LitGPT 0.5.13; a dict does not.
    torch_optimizer = {
        "class_path": "torch.optim.AdamW",
        "init_args": {
            "lr": float(config["learning_rate"]),
            "weight_decay": float(config["weight_decay"]),
            "betas": list(training.betas),
        },
    }
    limits = {"max_steps": max_steps, "max_seq_length": training.max_length}
    return [
        "finetune_lora",
        str(checkpoint),
        f"--out_dir={out}",
        f"--precision={training.precision}",
        f"--devices={training.devices}",
        f"--lora_r={int(config['lora_rank'])}",
        f"--lora_alpha={int(config['lora_alpha'])}",
        f"--lora_dropout={float(config['lora_dropout'])}",
        *(f"--lora_{name}={_flag(name in training.matrices)}" for name in MATRICES),
        *data,
        f"--data.mask_prompt={_flag(training.mask_prompt)}",
        f"--train.epochs={training.epochs}",
        *(f"--train.{name}={limit}" for name, limit in limits.items() if limit is not None),
        f"--train.lr_warmup_steps={training.warmup_steps}",
        f"--train.global_batch_size={training.batch}",
        f"--train.micro_batch_size={training.micro_batch}",
        f"--eval.interval={training.validate_every}",
        f"--optimizer={json.dumps(torch_optimizer)}",
        f"--seed={training.train_seed}",
        *([] if training.quantize is None else [f"--quantize={training.quantize}"]),
        *_schedule(training),
    ]


def _schedule(training: Training) -> list[str]:
    """Return the flags of `launch.py` itself, if the schedule is not LitGPT's."""
    steps = [] if training.max_steps is None else [f"{SCHEDULE_STEPS}={training.max_steps}"]
    return steps + schedule_flags(training.schedule, training.min_lr)


def schedule_flags(schedule: str, min_lr: float) -> list[str]:
    """Return the flags of `launch.py` for a schedule that LitGPT does not have."""
    flags = [] if schedule == "cosine" else [f"{SCHEDULE}={schedule}"]
    return flags + ([f"{MIN_LR}={min_lr}"] if min_lr > 0 else [])


def evaluate(
    checkpoint: Path,
    tasks: Sequence[str],
    batch: int,
    precision: str,
    converted: Path,
    results: Path,
) -> list[str]:
    """Return the arguments that score a LitGPT checkpoint.

    Args:
        checkpoint: the folder of the checkpoint.
        tasks: lm_eval's names of the tasks.
        batch: number of sequences that are scored at once.
        precision: the precision of the training.
        converted: folder for the weights in Hugging Face's format.
        results: the file to write.
    """
    return [
        "evaluate",
        str(checkpoint),
        f"--tasks={','.join(tasks)}",
        f"--batch_size={batch}",
        f"--dtype={SCORING_DTYPES[precision]}",
        f"--out_dir={converted}",
        f"--save_filepath={results}",
    ]


def _flag(value: bool) -> str:
    return str(value).lower()
