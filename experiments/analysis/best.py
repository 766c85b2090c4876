"""`tuneoff best`: the best configuration of each run, in full precision."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from experiments.analysis.results import Run, load
from experiments.running.readers import one_of
from experiments.running.settings import Command, Given, Setting

COMMAND = Command(
    "best",
    "Print the best configuration of each run, with its value and metrics, in full precision.",
    [
        ("tuneoff best results/branin/soo/seed0-55460cf9", "of one run"),
        ("tuneoff best results/smoke format=json", "of all runs, for another program"),
    ],
    [Setting("format", "yaml or json.", one_of("yaml", "json"), default="yaml")],
    folders="Folders of runs, or files written by tuneoff pack.",
)


def main(arguments: Sequence[str]) -> int:
    """Print the best configurations; return the exit status."""
    return COMMAND.answer(arguments, _best)


def _best(given: Given) -> int:
    found = [best(run) for run in load(given.folders)]
    if given["format"] == "json":
        print(json.dumps(found, indent=2))
    else:
        print(yaml.safe_dump(found, sort_keys=False, allow_unicode=True).rstrip())
    return 0


def best(run: Run) -> dict[str, Any]:
    """Return a run's incumbent with its value and metrics, as plain values.

    `config` is None if no evaluation succeeded.
    """
    told = {
        "optimizer": run.optimizer,
        "objective": run.objective,
        "seed": run.seed,
        "evaluations": len(run.ids),
        "failed": int(run.failed.sum()),
    }
    place = run.incumbent()
    if place is None:
        return {**told, "config": None}
    measured = {name: float(column[place]) for name, column in run.metrics.items()}
    return {
        **told,
        "trial": int(run.ids[place]),
        "value": float(run.values[place]),
        "metrics": {name: x for name, x in measured.items() if x == x},
        "config": run.configs[place],
    }
