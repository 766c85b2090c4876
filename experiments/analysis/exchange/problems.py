"""The problems of runs, as stated in their headers, and names for files."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ConfigSpace import ConfigurationSpace

from experiments.analysis.results import Run
from experiments.analysis.spaces import space_of


@dataclass(frozen=True)
class Problem:
    """The problem of a run.

    Attributes:
        space: the search space.
        optimum: the least value, if it is known.
        coco: COCO's suite, function and instance, if the problem is exactly this one.
    """

    space: ConfigurationSpace
    optimum: float | None
    coco: tuple[str, int, int] | None


class Problems:
    """The problems of some runs; each header is read once."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs: dict[str, list[Run]] = {}
        for run in runs:
            self._runs.setdefault(_key(run), []).append(run)
        self._known: dict[str, Problem] = {}

    def of(self, run: Run) -> Problem:
        """Return the problem of one of the runs.

        Raises:
            ValueError: its header describes no legal space.
        """
        key = _key(run)
        if key not in self._known:
            header = run.header
            self._known[key] = Problem(space_of(self._runs[key]), header.optimum, header.coco)
        return self._known[key]


def _key(run: Run) -> str:
    return json.dumps([run.header.objective, run.header.space], sort_keys=True)


def check_comparable(runs: Iterable[Run], reader: str) -> None:
    """Check that runs can be compared by their numbers of evaluations alone.

    Raises:
        ValueError: there are several goals, or a trial has a fidelity below 1, which the format
            cannot express, or runs of one objective differ in data or version.
    """
    prints: dict[str, dict[str, object]] = {}
    for run in runs:
        if run.header.several:
            raise ValueError(
                f"{run.objective}: expected one goal, as {reader} knows one value, got "
                f"{', '.join(run.header.goals)}; use format=optuna, format=parquet or format=csv"
            )
        if (run.fidelities < 1).any():
            raise ValueError(
                f"{run.objective}, {run.optimizer}, seed {run.seed}: expected full evaluations, "
                f"as {reader} counts all evaluations equally, got a fidelity of "
                f"{run.fidelities.min():g}; use format=parquet or format=csv"
            )
        known = prints.setdefault(run.objective, run.header.fingerprint)
        if run.header.fingerprint != known:
            raise ValueError(
                f"{run.objective}: expected one fingerprint, got {known} and "
                f"{run.header.fingerprint}; export them separately"
            )


def file_names(labels: Sequence[str]) -> dict[str, str]:
    """Return a distinct name of a file or folder for each label."""
    names: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        name = re.sub(r"[^\w.=+-]+", "_", label).strip("_.") or "unnamed"
        while name in names.values():
            name += "_"
        names[label] = name
    return names
