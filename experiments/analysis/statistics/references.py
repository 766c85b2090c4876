"""What a task's runs are held against: references, scales, and who does not depend on the seed."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from experiments.analysis.results import ROUNDING, Floats, Run
from experiments.analysis.statistics.paired import rounded

Curves = Mapping[str, Mapping[int, Floats]]
"""By optimizer and seed, the least so far at each step, (n_steps,); infinite before a success."""


def fixed_optimizers(runs: Mapping[str, Mapping[int, Run]], budget: float) -> frozenset[str]:
    """Return those whose runs of several seeds asked for, and were told, the same in one order."""
    found = set()
    for optimizer, by_seed in runs.items():
        same = list(by_seed.values())
        if len(same) > 1 and len({_told(run, budget) for run in same}) == 1:
            n = len(same[0].configs)
            if all(run.configs[:n] == same[0].configs[: len(run.configs)] for run in same):
                found.add(optimizer)
    return frozenset(found)


def _told(run: Run, budget: float) -> bytes:
    within = np.cumsum(run.fidelities) <= budget + ROUNDING
    return rounded(np.where(run.failed, np.nan, run.values)[within]).tobytes()


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
        curves: of the runs.
        problems: by seed, what tells its problem from others.
        optima: by problem.
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
    """Return by seed how far above the reference a first success typically is, or else 1."""
    scale: dict[str, float] = {}
    for key, each in _by_problem(curves, problems).items():
        firsts = [curve[np.isfinite(curve)][0] for curve in each if np.isfinite(curve).any()]
        scale[key] = float(np.median(firsts)) if firsts else 0.0
    above = {seed: scale[problems.get(seed, "")] - low for seed, low in reference.items()}
    return {seed: size if size > 0 else 1.0 for seed, size in above.items()}
