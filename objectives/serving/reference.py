"""The default configuration's metrics on this machine: measured once, then read from a cache.

The file's name is a digest of all that the metrics depend on: the hardware, the engine with its
model and version, the load, the limits, the default configuration and the settings of the
measurement. A score is relative to this reference, and the metrics of each evaluation record the
reference. Its items record the values of the single measurements.
"""

import hashlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from objectives.cache import cache_folder
from objectives.heartbeat import Heartbeat
from objectives.items import DEFAULT, pack_exact
from objectives.serving.grades import Failure
from objectives.serving.score import Score

Metrics = dict[str, float]


@dataclass(frozen=True)
class Reference:
    """The measurements of the default configuration.

    Attributes:
        medians: the median of each metric that all measurements have.
        runs: the metrics of each measurement.
    """

    medians: Metrics
    runs: list[Metrics]


def reference(depends_on: Mapping[str, Any], n_runs: int, run: Callable[[], Metrics]) -> Reference:
    """Return the metrics of `n_runs` measurements, from the cache if present.

    Args:
        depends_on: plain JSON values that the metrics depend on.
        n_runs: number of measurements of the default configuration.
        run: a function that measures the default configuration once.

    Raises:
        OSError: the cache cannot be written.
        ValueError: the cached file is damaged.
    """
    path = cache_path(depends_on)
    if path.is_file():
        return _read(path)
    runs = []
    for number in range(1, n_runs + 1):
        print(
            f"the default configuration is measured first, {number} of {n_runs}; once per machine",
            file=sys.stderr,
            flush=True,
        )
        with Heartbeat(f"measuring the default configuration, {number} of {n_runs}"):
            runs.append(run())
    shared = [name for name in runs[0] if all(name in metrics for metrics in runs)]
    medians = {name: statistics.median(metrics[name] for metrics in runs) for name in shared}
    content = {"metrics": medians, "runs": runs, "depends_on": depends_on}
    _write(path, json.dumps(content, indent=1))
    return Reference(medians, runs)


def cache_path(depends_on: Mapping[str, Any]) -> Path:
    """Return the path of a reference in the cache."""
    text = json.dumps(depends_on, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return cache_folder() / "serving" / f"reference-{digest[:16]}.json"


def default_items(
    score: Score, runs: Sequence[Mapping[str, float]], reference: Mapping[str, float]
) -> dict[str, str]:
    """Return the values of the default's own measurements, packed as items of an evaluation.

    The result is empty if the score gives no value, or if a measurement violates a hard limit.

    Args:
        score: the score.
        runs: the metrics of each measurement of the default.
        reference: their medians, to which the values are relative.
    """
    try:
        for metrics in runs:
            score.check(metrics)
    except Failure:
        return {}
    values = [score.value(metrics, reference) for metrics in runs]
    known = np.array([value for value in values if value is not None])
    return {DEFAULT: pack_exact(known)} if len(known) == len(runs) > 0 else {}


def _read(path: Path) -> Reference:
    try:
        content = json.loads(path.read_text())
        return Reference(_numbers(content["metrics"]), [_numbers(one) for one in content["runs"]])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path}: expected a cached reference, got damage; delete it") from None


def _numbers(metrics: Mapping[str, Any]) -> Metrics:
    return {str(name): float(x) for name, x in metrics.items()}


def _write(path: Path, text: str) -> None:
    """Write a file atomically: if the process is killed, the file is complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
