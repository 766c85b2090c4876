"""Runs of several goals as curves: hypervolume, IGD+, or a goal at the incumbents.

A run's incumbents after a budget are the feasible full evaluations that no other one dominates.
The result is one number, where lower is better, so that ranks, tests, targets and profiles treat it
as they treat a value:

- `hypervolume`, negated: the volume that the incumbents dominate up to the goals' references,
  which the log declares (E. Zitzler and L. Thiele, PPSN 1998). It is 0 if no incumbent is better
  than the reference in every goal.
- `igd_plus`: the mean distance from the points of the known front to the incumbents, of which
  only what is worse counts (H. Ishibuchi et al., EMO 2015).

Both are moocore's. A run has infinity before its first feasible success.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from experiments.analysis.results import ROUNDING, Floats, Run

HYPERVOLUME, IGD_PLUS = "hypervolume", "igd_plus"
INDICATORS = {HYPERVOLUME: -1, IGD_PLUS: 1}
"""What sets of incumbents are compared by; 1 where lower is better."""


def points(run: Run) -> Floats:
    """Return the goals of each evaluation (n, m), smaller is better; NaN if one is missing."""
    nothing = np.full(len(run.ids), np.nan)
    columns = [
        (1.0 if goal.minimise else -1.0) * run.metrics.get(name, nothing)
        for name, goal in run.header.goals.items()
    ]
    return np.column_stack(columns)


def natural(run: Run, goals: Floats) -> Floats:
    """Return signed numbers of the goals (n, m) in natural units."""
    signs = [1.0 if goal.minimise else -1.0 for goal in run.header.goals.values()]
    found: Floats = goals * np.array(signs)
    return found


def eligible(run: Run) -> np.ndarray:
    """Return which evaluations (n,) may be incumbents: full ones, with all goals, feasible."""
    full = (run.fidelities == 1.0) & ~run.failed & run.kept
    return np.asarray(full & np.isfinite(points(run)).all(axis=1))


def front(run: Run, budget: float = np.inf) -> list[int]:
    """Return the places of the incumbents under a budget, in the order of the first goal."""
    chosen = np.flatnonzero(eligible(run) & (run.spent <= budget + ROUNDING))
    if not len(chosen):
        return []
    own = points(run)
    kept = chosen[_moocore().is_nondominated(own[chosen])]
    return [int(place) for place in kept[np.argsort(own[kept, 0], kind="stable")]]


def references(run: Run) -> Floats:
    """Return the goals' references (m,), signed so that less is better.

    Raises:
        ValueError: a goal has none.
    """
    for name, goal in run.header.goals.items():
        if goal.reference is None:
            raise ValueError(
                f"hypervolume: expected a reference of each goal of {run.objective}, got none of "
                f"{name}; give one by references={{{name}: NUMBER}}, or to the runs by "
                f"objective.goals="
            )
    signs = [(goal.minimise, goal.reference) for goal in run.header.goals.values()]
    return np.array([r if minimise else -(r or 0.0) for minimise, r in signs], dtype=float)


def referred(runs: Sequence[Run], given: Mapping[str, float]) -> list[Run]:
    """Return the runs with given references of their goals, in natural units, by metric.

    The largest hypervolume is not known for references other than the declared ones.

    Raises:
        ValueError: a metric is a goal of none of the runs.
    """
    known = {name for run in runs if run.header.several for name in run.header.goals}
    for name in given:
        if name not in known:
            shown = ", ".join(sorted(known)) or "runs of several goals"
            raise ValueError(f"references: expected goals of {shown}, got {name}")
    return [_referred(run, given) for run in runs]


def _referred(run: Run, given: Mapping[str, float]) -> Run:
    goals = {
        name: replace(goal, reference=given.get(name, goal.reference))
        for name, goal in run.header.goals.items()
    }
    if not run.header.several or goals == run.header.goals:
        return run
    return replace(run, header=replace(run.header, goals=goals, hypervolume=None))


def largest_hypervolume(run: Run) -> float | None:
    """Return the largest possible hypervolume, if it is known."""
    return run.header.hypervolume


def curve(run: Run, grid: Floats, metric: str | None) -> Floats:
    """Return what the incumbents came to after each budget of the grid, (n_steps,).

    Args:
        run: a run of several goals.
        grid: budgets in full evaluations, ascending.
        metric: one of `INDICATORS`, None for the hypervolume, or a goal: its best number.

    Raises:
        ValueError: the log declares no references, or no front, or no such goal.
    """
    measure = _measure(run, metric or HYPERVOLUME)
    own, good = points(run), eligible(run)
    reached = np.full(len(run.ids) + 1, np.inf)  # after so many evaluations
    set_: Floats = np.empty((0, own.shape[1]))
    for place in range(len(run.ids)):
        reached[place + 1] = reached[place]
        if good[place] and not (set_ <= own[place]).all(axis=1).any():
            set_ = np.concatenate([set_[~(own[place] <= set_).all(axis=1)], own[place][None]])
            reached[place + 1] = measure(set_)
    last = np.searchsorted(run.spent, grid + ROUNDING, side="right")
    found: Floats = reached[last]
    return found


def with_front(runs: Sequence[Run], metric: str | None) -> tuple[list[Run], list[str]]:
    """Return the runs that a metric can compare, and a note on those that it cannot.

    IGD+ compares only runs on objectives whose front is known; everything else compares all runs.

    Raises:
        ValueError: no run has an objective with a known front.
    """
    if metric != IGD_PLUS:
        return list(runs), []
    unknown = sorted({run.objective for run in runs if not run.header.front})
    left = [run for run in runs if run.objective not in unknown]
    if not left:
        raise ValueError(
            f"igd_plus: expected an objective with a known front, got {', '.join(unknown)}; "
            f"compare by hypervolume"
        )
    if not unknown:
        return left, []
    return left, [f"IGD+ needs a known front, so it leaves out {', '.join(unknown)}"]


def _measure(run: Run, metric: str) -> Callable[[Floats], float]:
    """Return the function that turns a set of incumbents (k, m) into a number."""
    moocore = _moocore()
    if metric == HYPERVOLUME:
        reference = references(run)
        return lambda own: -float(moocore.hypervolume(own, ref=reference))
    if metric == IGD_PLUS:
        if not run.header.front:
            raise ValueError(
                f"igd_plus: expected a known front of {run.objective}, got none; compare by "
                f"hypervolume"
            )
        known = natural(run, np.array(run.header.front))  # the signs are their own inverse
        return lambda own: float(moocore.igd_plus(own, ref=known))
    names = list(run.header.goals)
    if metric not in names:
        raise ValueError(f"metric: expected one of the goals {', '.join(names)}, got {metric}")
    column = names.index(metric)
    return lambda own: float(own[:, column].min())


def _moocore() -> Any:
    """Return the library, which only several goals need.

    Raises:
        ModuleNotFoundError: the extra `stats` is not installed.
    """
    import moocore

    return moocore
