"""The plan of a sweep: which runs there should be, and which of them failed as a whole.

    experiment.json   every planned run: identity, names of optimizer and objective, seed
    ledger.jsonl      one line for each run that was made or that failed; a cut line is ignored

Only read here; `experiments.sweeping` writes them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.analysis.results import ROUNDING, Run
from experiments.analysis.statistics.anytime import Missing

PLAN, LEDGER = "experiment.json", "ledger.jsonl"
_ATTEMPTS = 2  # after so many failures a sweep leaves a run
_KEYS = {"identity": str, "optimizer": str, "objective": str, "seed": int}


def missing(paths: Sequence[Path], runs: Sequence[Run]) -> list[Missing]:
    """Return the planned runs that failed, or are not made yet, under the labels of the others.

    Raises:
        ValueError: a plan is damaged.
    """
    by_identity = {run.header["identity"]: run for run in runs}
    found = []
    for folder in sorted({plan.parent for path in paths for plan in path.rglob(PLAN)}):
        budget, planned = _plan(folder / PLAN)
        lost = _failed(folder / LEDGER)
        labels = _labels(planned, by_identity)
        for one in planned:
            run = by_identity.get(one["identity"])
            made = run is not None and run.ended and run.budget >= budget - ROUNDING
            failed = one["identity"] in lost and not made
            if run is None or failed:
                optimizer, objective = (
                    getattr(run, family) if run else labels[family, one[family]]
                    for family in ("optimizer", "objective")
                )
                found.append(Missing(optimizer, objective, one["seed"], failed))
    return found


def _plan(path: Path) -> tuple[float, list[dict[str, Any]]]:
    """Return the budget and the runs of a plan."""
    try:
        plan = json.loads(path.read_bytes())
        budget, runs = float(plan["budget"]), list(plan["runs"])
        whole = all(type(run[key]) is kind for run in runs for key, kind in _KEYS.items())
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(f"{path}: expected the plan of a sweep, got a damaged file; remove it")
    return budget, runs


def _failed(path: Path) -> set[str]:
    """Return the identities of the runs that a sweep gave up."""
    counts: dict[str, int] = {}
    for event in _lines(path):
        kind, identity = event.get("event"), str(event.get("identity"))
        if kind == "retry":
            counts.clear()
        elif kind == "failed":
            counts[identity] = counts.get(identity, 0) + 1
        elif kind == "done":
            counts.pop(identity, None)
    return {identity for identity, n in counts.items() if n >= _ATTEMPTS}


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the whole lines of a ledger."""
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def _labels(
    planned: Sequence[dict[str, Any]], runs: Mapping[str, Run]
) -> dict[tuple[str, str], str]:
    """Map the plan's names to the labels of the runs that exist, or to themselves."""
    found: dict[tuple[str, str], str] = {}
    for one in planned:
        run = runs.get(one["identity"])
        for family in ("optimizer", "objective"):
            if run is not None:
                found[family, one[family]] = getattr(run, family)
            else:
                found.setdefault((family, one[family]), one[family])
    return found
