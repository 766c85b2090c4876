"""Which runs solve one problem, with the same data and model."""

import json
from collections.abc import Sequence

from experiments.analysis.results import Run


def problem(run: Run) -> str:
    """Return a key that identifies the run's problem: its objective's settings, as JSON."""
    return json.dumps(run.header.objective, sort_keys=True)


def check_same_problem(name: str, runs: Sequence[Run]) -> None:
    """Raise if one seed was run twice, or one problem with different data or models."""
    seen: dict[tuple[str, int], Run] = {}
    prints: dict[str, Run] = {}
    for run in runs:
        first = prints.setdefault(problem(run), run)
        mine, other = run.header.fingerprint, first.header.fingerprint
        if mine != other:
            keys = [key for key in {**mine, **other} if mine.get(key) != other.get(key)]
            raise ValueError(
                f"{name}: expected runs of one fingerprint, got {keys[0]}={other.get(keys[0])} "
                f"({first.optimizer}, seed {first.seed}) and {keys[0]}={mine.get(keys[0])} "
                f"({run.optimizer}, seed {run.seed}); compare them separately"
            )
        twin = seen.setdefault((run.optimizer, run.seed), run)
        if twin is not run:
            raise ValueError(
                f"{name}: expected one run of {run.optimizer} with seed {run.seed}, got two, of "
                f"budgets {twin.budget:g} and {run.budget:g}; give the folder of one"
            )
