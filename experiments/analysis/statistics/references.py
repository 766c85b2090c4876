"""Reference values and scales of a task, and optimizers that do not depend on the seed."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.budgets import within
from experiments.analysis.statistics.paired import rounded
from objectives.trial import Config

Curves = Mapping[str, Mapping[int, Floats]]
"""By optimizer and seed, the best so far at each step, (n_steps,); infinite before a success."""


def fixed_optimizers(runs: Mapping[str, Mapping[int, Run]], budget: float) -> frozenset[str]:
    """Return the optimizers whose runs with several seeds are one and the same trajectory.

    All such runs asked for the same configurations in the same order and got the same answers. An
    unfinished run may be the beginning of that trajectory.

    Args:
        runs: by optimizer and seed.
        budget: evaluations that arrived after this budget was spent are ignored.
    """
    found = set()
    for optimizer, by_seed in runs.items():
        longest = max(by_seed.values(), key=lambda run: len(run.configs))
        whole = _trajectory(longest, budget)
        if len(by_seed) > 1 and all(_is_part(run, whole, budget) for run in by_seed.values()):
            found.add(optimizer)
    return frozenset(found)


_Step = tuple[Config, float, float | None]


def _trajectory(run: Run, budget: float) -> list[_Step]:
    """Return configuration, fidelity and value (None for a failure) of each evaluation."""
    n = int(within(run, budget).sum())
    values = rounded(np.where(run.failed, np.nan, run.values)).tolist()
    told = [None if np.isnan(value) else value for value in values]
    return list(zip(run.configs[:n], run.fidelities[:n].tolist(), told[:n], strict=True))


def _is_part(run: Run, whole: list[_Step], budget: float) -> bool:
    own = _trajectory(run, budget)
    return own == whole[: len(own)] and (not run.ended or len(own) == len(whole))


def _by_problem(curves: Curves, problems: Mapping[int, str]) -> dict[str, list[Floats]]:
    found: dict[str, list[Floats]] = defaultdict(list)
    for by_seed in curves.values():
        for seed, curve in by_seed.items():
            found[problems.get(seed, "")].append(curve)
    return found


def references(
    curves: Curves,
    problems: Mapping[int, str],
    optima: Mapping[str, float],
) -> tuple[dict[int, float], bool]:
    """Return the reference by seed, and whether all are known optima.

    Args:
        curves: the curves of the runs.
        problems: by seed, the key that identifies its problem.
        optima: the known optima by problem.
    """
    known = all(key in optima for key in problems.values())
    best: dict[str, float] = {}
    for key, each in _by_problem(curves, problems).items():
        seen = np.concatenate(each)
        seen = seen[np.isfinite(seen)]
        best[key] = optima[key] if known and key in optima else float(seen.min(initial=np.inf))
    every = {seed for by_seed in curves.values() for seed in by_seed}
    lows = {seed: best[problems.get(seed, "")] for seed in every}
    return {seed: low if np.isfinite(low) else 0.0 for seed, low in lows.items()}, known


def scales(
    curves: Curves,
    problems: Mapping[int, str],
    reference: Mapping[int, float],
) -> dict[int, float]:
    """Return, by seed, the typical distance of a first success from the reference, or else 1."""
    scale: dict[str, float] = {}
    for key, each in _by_problem(curves, problems).items():
        firsts = [curve[np.isfinite(curve)][0] for curve in each if np.isfinite(curve).any()]
        scale[key] = float(np.median(firsts)) if firsts else 0.0
    above = {seed: scale[problems.get(seed, "")] - low for seed, low in reference.items()}
    return {seed: size if size > 0 else 1.0 for seed, size in above.items()}
