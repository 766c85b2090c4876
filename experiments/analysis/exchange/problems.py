"""The problems of runs, as their headers say them, and names for files."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ConfigSpace import ConfigurationSpace

from experiments.analysis.results import Run
from experiments.analysis.spaces import space_of


@dataclass(frozen=True)
class Problem:
    """What a run was about.

    Attributes:
        space: where it is defined.
        optimum: the least value, where it is known.
        coco: suite, function and instance of COCO, where it is exactly that problem.
    """

    space: ConfigurationSpace
    optimum: float | None
    coco: tuple[str, int, int] | None


class Problems:
    """The problems of some runs, each read once."""

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
    """Raise unless evaluations are all that counts in the runs, and on the same values.

    Raises:
        ValueError: there are several goals, a trial has a fidelity below 1, which the reader cannot
            know, or runs of one objective have other data or another version.
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
                f"as {reader} counts them alike, got a fidelity of {run.fidelities.min():g}; use "
                f"format=parquet or format=csv"
            )
        known = prints.setdefault(run.objective, run.header.fingerprint)
        if run.header.fingerprint != known:
            raise ValueError(
                f"{run.objective}: expected one fingerprint, got {known} and "
                f"{run.header.fingerprint}; export them one by one"
            )


def file_names(labels: Sequence[str]) -> dict[str, str]:
    """Return a name for a file or folder by label, each different."""
    names: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        name = re.sub(r"[^\w.=+-]+", "_", label).strip("_.") or "unnamed"
        while name in names.values():
            name += "_"
        names[label] = name
    return names
