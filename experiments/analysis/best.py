"""`tuneoff best`: the best configuration of each run, in full precision, and how to use it.

With several goals, it is the front: the evaluations that no other one dominates. `limits=` keeps
only evaluations within bounds; goals with a bound are then no longer compared, so that with bounds
on all goals but one there is one best configuration again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from experiments.analysis.pasted import (
    beside_front,
    confirmations,
    put_to_use,
    recommended,
    seen,
    text,
)
from experiments.analysis.results import Run, load
from experiments.analysis.statistics.fronts import front
from experiments.running.fronts import limits_line
from experiments.running.header import Header
from experiments.running.readers import by_metric, one_of
from experiments.running.readers import path as as_path
from experiments.running.settings import Command, Given, Setting
from experiments.running.whole_files import whole
from objectives.trial import Limit

COMMAND = Command(
    "best",
    "Print the best configuration of each run, with its value and metrics, in full precision.",
    [
        ("tuneoff best results/branin/soo/seed0-55460cf9", "of one run"),
        ("tuneoff best results/smoke format=json", "of all runs, for another program"),
        ("tuneoff best results/mine results/confirmed format=flags", "the command line to paste"),
        ("tuneoff best results/serving limits='{ttft_p90_s: 0.5}'", "the best within a bound"),
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
        Setting(
            "limits",
            "Bounds that the evaluations have to keep: the smallest value of a goal that is "
            "maximised, the largest value of any other metric.",
            by_metric("bounds", "{ttft_p90_s: 2}"),
            shown="those of the run",
        ),
    ],
    folders="Folders of runs, or files written by tuneoff pack.",
)


def main(arguments: Sequence[str]) -> int:
    """Print the best configurations; return the exit status."""
    return COMMAND.answer(arguments, _best)


def _best(given: Given) -> int:
    runs: list[Run] = load(given.folders)
    several = {run.header.identity for run in runs if run.header.several}
    if given["limits"] is not None:
        runs = [limited(run, given["limits"]) for run in runs]
    again = confirmations(runs)
    own = {run.header.identity for run in runs}
    listed = [run for run in runs if run.header.optimizer.get("confirms") not in own]
    found = []
    for run in listed:
        told = best(run)
        if run.header.identity not in several:
            told |= recommended(run, again.get(run.header.identity))
        else:
            told |= beside_front(run) if run.header.several else seen(run)
        found.append(told)
    shown = text(found, given["format"])
    if given["out"] is None:
        print(shown)
    else:
        with whole(given["out"]) as new:
            new.write_text(shown + "\n", encoding="utf-8")
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
    if run.header.limits:
        told["limits"] = limits_line(run.header.limits)
    if run.header.several:
        goals = {name: "min" if goal.minimise else "max" for name, goal in run.header.goals.items()}
        return {**told, "goals": goals, "front": [_usable(run, place) for place in front(run)]}
    place = run.incumbent()
    if place is None:
        return {**told, "config": None}
    return {**told, **_evaluation(run, place)}


def _usable(run: Run, place: int) -> dict[str, Any]:
    """Return an evaluation and the command line of its configuration, if one is known."""
    return {**_evaluation(run, place), **put_to_use(run, run.configs[place])}


def _evaluation(run: Run, place: int) -> dict[str, Any]:
    measured = {name: float(column[place]) for name, column in run.metrics.items()}
    value = float(run.values[place])
    return {
        "trial": int(run.ids[place]),
        **({"value": value} if value == value else {}),
        "metrics": {name: x for name, x in measured.items() if x == x},
        "config": run.configs[place],
    }


def limited(run: Run, given: Mapping[str, float]) -> Run:
    """Return a run whose limits are the given bounds too, and whose goals are those without one.

    Raises:
        ValueError: the run does not measure a metric.
    """
    header = run.header
    for name in given:
        if name not in run.metrics:
            known = ", ".join(run.metrics)
            raise ValueError(f"limits: expected metrics of {known}, got {name}")
    more = {name: Limit(bound, _at_most(header, name)) for name, bound in given.items()}
    left = {name: goal for name, goal in header.goals.items() if name not in given}
    values = run.values
    if header.several and len(left) == 1:
        ((name, goal),) = left.items()
        values = run.metrics[name] * (1.0 if goal.minimise else -1.0)
    kept = replace(header, limits={**header.limits, **more}, goals=left or header.goals)
    return replace(run, header=kept, values=values)


def _at_most(header: Header, name: str) -> bool:
    """Return whether a bound of a metric is the most that is allowed."""
    if name in header.goals:
        return header.goals[name].minimise
    return header.limits[name].at_most if name in header.limits else True
