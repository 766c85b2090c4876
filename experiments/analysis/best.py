"""`tuneoff best`: the best configuration of each run, in full precision, and how to use it."""

from collections.abc import Sequence
from typing import Any

from experiments.analysis.pasted import confirmations, recommended, text
from experiments.analysis.results import Run, load
from experiments.running.readers import one_of
from experiments.running.readers import path as as_path
from experiments.running.settings import Command, Given, Setting

COMMAND = Command(
    "best",
    "Print the best configuration of each run, with its value and metrics, in full precision.",
    [
        ("tuneoff best results/branin/soo/seed0-55460cf9", "of one run"),
        ("tuneoff best results/smoke format=json", "of all runs, for a program"),
        ("tuneoff best results/mine results/confirmed format=flags", "the command line to paste"),
    ],
    [
        Setting(
            "format",
            "yaml or json: all that is known; flags: the command line of the recommended "
            "configuration; env: its parameters as variables of a shell.",
            one_of("yaml", "json", "flags", "env"),
            default="yaml",
        ),
        Setting("out", "A file to write to.", as_path, shown="standard output"),
    ],
    folders="Folders of runs, or files by tuneoff pack.",
)


def main(arguments: Sequence[str]) -> int:
    """Print; return the exit status."""
    return COMMAND.answer(arguments, _best)


def _best(given: Given) -> int:
    runs = load(given.folders)
    again = confirmations(runs)
    own = {run.header.identity for run in runs}
    listed = [run for run in runs if run.header.optimizer.get("confirms") not in own]
    found = [{**best(run), **recommended(run, again.get(run.header.identity))} for run in listed]
    shown = text(found, given["format"])
    if given["out"] is None:
        print(shown)
    else:
        given["out"].write_text(shown + "\n", encoding="utf-8")
    return 0


def best(run: Run) -> dict[str, Any]:
    """Return what is known of the best of a run, as plain values; a run without success says so."""
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
