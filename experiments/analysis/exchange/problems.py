"""The objectives of runs, built from the settings in their logs, and names for files."""

import json
import re
from collections.abc import Iterable, Sequence

from hydra.utils import instantiate

from experiments.analysis.results import Run
from experiments.running.old_names import renamed
from objectives.objective import Objective


class Problems:
    """Builds each objective once."""

    def __init__(self) -> None:
        self._built: dict[str, Objective] = {}

    def of(self, run: Run) -> Objective:
        """Return the objective of a run.

        Raises:
            ValueError, OSError, HydraException: it cannot be built here.
        """
        settings = renamed(run.header["objective"])
        key = json.dumps(settings, sort_keys=True)
        if key not in self._built:
            self._built[key] = instantiate(settings, _convert_="all")
        return self._built[key]


def check_comparable(runs: Iterable[Run], reader: str) -> None:
    """Raise unless evaluations are all that counts in the runs, and on the same values.

    Raises:
        ValueError: a trial has a fidelity below 1, which the reader cannot know, or runs of one
            objective have other data or another version.
    """
    prints: dict[str, dict[str, object]] = {}
    for run in runs:
        if (run.fidelities < 1).any():
            raise ValueError(
                f"{run.objective}, {run.optimizer}, seed {run.seed}: expected full evaluations, "
                f"as {reader} counts them alike, got a fidelity of {run.fidelities.min():g}; use "
                f"format=parquet or format=csv"
            )
        known = prints.setdefault(run.objective, run.header["fingerprint"])
        if run.header["fingerprint"] != known:
            raise ValueError(
                f"{run.objective}: expected one fingerprint, got {known} and "
                f"{run.header['fingerprint']}; export them one by one"
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
