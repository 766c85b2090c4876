"""How long an evaluation takes, from the logs of earlier runs or from what the objective states."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from experiments.running.earlier import header_of
from experiments.running.header import Header
from experiments.running.run import Run
from experiments.running.run_log import read
from objectives.objective import Outlook

RESULTS = Path("results")
_MOST_LOGS = 50  # the newest logs that an estimate of the time is taken from
_MOST_NAMED = 6  # settings that differ


def seconds_of(run: Run, places: list[Path], outlook: Outlook) -> tuple[float | None, str]:
    """Return the duration of a full evaluation in seconds, and the source of this number.

    The logs of the same objective below the given folders come first, then what the objective
    states, then logs in `results` of the same objective under other settings.
    """
    costs = [cost for path in _newest(places) for cost in _costs(path, run.header)]
    if costs:
        return float(np.median(costs)), f"the median of {len(costs)} logged evaluations"
    if outlook.seconds is not None:
        return outlook.seconds, "as the objective states, at least"
    if run.objective.cheap:
        return 0.01, "at most, as the objective is cheap"
    return _of_others(run.header)


def _of_others(header: Header) -> tuple[float | None, str]:
    """Return the duration of evaluations of the same objective under other settings."""
    costs: list[float] = []
    differing: set[str] = set()
    for path in _newest([RESULTS]):
        other = _header(path)
        if other is None or other.objective.get("class") != header.objective.get("class"):
            continue
        own = list(_costs(path, other))
        costs += own
        differing |= _differing(other.objective, header.objective) if own else set()
    if not costs:
        return None, "unknown, as no evaluation of this objective is logged here"
    names = sorted(differing)
    shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    among = f" under other settings ({shown})" if names else " under fewer settings"
    return float(np.median(costs)), f"the median of {len(costs)} logged evaluations{among}"


def _newest(places: list[Path]) -> list[Path]:
    logs = {path.resolve() for place in places for path in place.rglob("log.jsonl")}
    return sorted(logs, key=lambda path: path.stat().st_mtime)[-_MOST_LOGS:]


def _header(path: Path) -> Header | None:
    """Return the header of a log; None if it cannot be read."""
    with suppress(ValueError, OSError), path.open(encoding="utf-8") as file:
        return header_of(json.loads(file.readline()))
    return None


def _costs(path: Path, header: Header) -> Iterator[float]:
    """Yield the costs of the successful full evaluations of a log with the header's objective."""
    with suppress(ValueError, OSError):  # a damaged log of another run says nothing
        history = read(path)
        if history.header is None or history.header.objective != header.objective:
            return
        for id, evaluation in history.evaluations.items():
            if evaluation.error is None and history.price(history.trials[id]) == 1.0:
                yield evaluation.cost


def _differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Return the names of the settings that both contain with different values."""
    return {key for key in one.keys() & other.keys() if one[key] != other[key]}
