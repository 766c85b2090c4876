"""Runs as `experiments.analysis.results.load` returns them, made from a list of values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.analysis.results import Run
from experiments.running.header import Header
from made_headers import goal, header_event


def made_run(
    values: Sequence[float | None],
    optimizer: str = "a",
    seed: int = 0,
    *,
    objective: str = "f",
    settings: Mapping[str, Any] | None = None,
    failed: Sequence[int] = (),
    budget: float | None = None,
    ended: bool = True,
    fidelities: Sequence[float] | None = None,
    costs: Sequence[float] | None = None,
    ask_s: Sequence[float] | None = None,
    metric: str | None = None,
    minimise: bool = True,
    space: dict[str, Any] | None = None,
    metrics: Mapping[str, Sequence[float]] | None = None,
    items: Sequence[dict[str, str]] | None = None,
    tests: Sequence[dict[str, Any]] = (),
    fingerprint: Mapping[str, Any] | None = None,
) -> Run:
    """Return a run with these values; None, and the places in `failed`, are failures."""
    n = len(values)
    lost = {i for i, value in enumerate(values) if value is None} | set(failed)
    header = header_event(
        names={"optimizer": optimizer, "objective": objective},
        identity=f"{optimizer} {objective} {seed}",
        optimizer={"class": optimizer},
        objective=dict(settings or {"class": objective}),
        seed=seed,
        goals={} if metric is None else goal(metric, minimise),
        space=space,
        fingerprint=dict(fingerprint or {"version": 1}),
    )
    return Run(
        header=Header.from_json(header),
        optimizer=optimizer,
        objective=objective,
        budget=float(n if budget is None else budget),
        ended=ended,
        ids=np.arange(n),
        configs=[{"x": i / 10} for i in range(n)],
        fidelities=np.array([1.0] * n if fidelities is None else fidelities),
        prices=np.array([1.0] * n if fidelities is None else fidelities),
        values=np.array([np.nan if value is None else value for value in values], dtype=float),
        errors=["it failed" if i in lost else None for i in range(n)],
        costs=np.array([1.0] * n if costs is None else costs),
        metrics={name: np.array(column, dtype=float) for name, column in (metrics or {}).items()},
        items=list(items or [{} for _ in range(n)]),
        ask_s=np.array([0.0] * n if ask_s is None else ask_s),
        tell_s=np.zeros(n),
        times=np.arange(n, dtype=float),
        tests=list(tests),
    )
