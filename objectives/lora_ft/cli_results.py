"""Read the results of LitGPT and lm_eval after they have ended successfully."""

import csv
import json
import math
from collections.abc import Iterable
from pathlib import Path


class Unusable(Exception):
    """A result is missing, unreadable, or not a finite number; the message says which."""


NAMES = {  # metric: lm_eval's task and lm_eval's name of the metric
    "hellaswag_acc": ("hellaswag", "acc,none"),
    "hellaswag_acc_norm": ("hellaswag", "acc_norm,none"),
    "mmlu_acc": ("mmlu", "acc,none"),
}


def losses(path: Path) -> dict[str, float]:
    """Read LitGPT's mean training loss and last validation loss, in nats per token.

    Raises:
        Unusable: the metrics are missing, or one is not finite (in which case LitGPT does not
            stop).
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        training = [float(row["loss"]) for row in rows if row.get("loss")]
        heldout = [float(row["val_loss"]) for row in rows if row.get("val_loss")]
    except (OSError, ValueError, csv.Error) as error:
        raise Unusable(f"litgpt finetune_lora left no metrics that can be read: {error}") from None
    if not training or not heldout:
        raise Unusable(f"litgpt finetune_lora left no losses in {path}")
    for number, loss in enumerate(training, start=1):
        if not math.isfinite(loss):
            raise Unusable(f"training loss is {loss} at iteration {number} of {len(training)}")
    if not math.isfinite(heldout[-1]):
        raise Unusable(f"validation loss is {heldout[-1]} after training")
    return {"train_loss": sum(training) / len(training), "heldout_loss": heldout[-1]}


def scores(path: Path, tasks: Iterable[str]) -> dict[str, float]:
    """Read lm_eval's accuracies of the tasks.

    Raises:
        Unusable: the file or an accuracy is missing, or an accuracy is not a number from 0 to 1.
    """
    try:
        found = json.loads(path.read_text())["results"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"litgpt evaluate left no results that can be read: {error!r}") from None
    metrics: dict[str, float] = {}
    for name, (task, key) in NAMES.items():
        if task in tasks:
            value = found.get(task, {}).get(key)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise Unusable(f"litgpt evaluate left {value!r} as {task}'s {key} in {path}")
            metrics[name] = float(value)
    return metrics
