"""Importance of parameters: fANOVA and SHAP, on forests fitted to the evaluations of all runs.

- fANOVA: `statistics.importance`.
- SHAP: S. Lundberg et al., *From local explanations to global understanding with explainable AI
  for trees* (Nature Machine Intelligence 2, 2020), by the package shap: the mean absolute
  contribution of each parameter at the evaluated configurations, as a share of the sum.

Both use unit points and the normal scores of the values, because a few very bad values would
otherwise dominate the variance. Failures count as the worst value.

A conditional parameter exists in a part of the space only, and whether it exists is its parent's
doing: in a forest of all parameters it would absorb its parent's importance. So one forest has the
parameters that every configuration has. The conditional ones are measured beside each other in
forests of their own, each on the evaluations in which they are all active; their parents' choice
does not vary there.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.importance import fanova
from objectives.space import UnitCube

MOST = 400
"""The maximum number of evaluations, drawn evenly from all runs; the time grows with it."""

LEAST = 20
_N_TREES = 16
_MAX_DEPTH = 6
_SEED = 0
_FROZEN = 0.03
"""A parameter with less than this share by both measures could be frozen."""

_LEAST_EXPLAINED = 0.3
"""Forests that explain less than this share of the variance out of bag are not trusted."""


@dataclass(frozen=True)
class Importance:
    """The parameters of one task.

    Attributes:
        names: of the parameters that take more than one value.
        fanova: share of variance, by name.
        shap: share of the mean sizes of contributions, by name.
        explained: the out-of-bag R^2 of the forest.
        n: the number of evaluations used.
        n_all: the number of evaluations available.
    """

    names: list[str]
    fanova: dict[str, float]
    shap: dict[str, float]
    explained: float
    n: int
    n_all: int

    @property
    def believed(self) -> bool:
        """Whether the forest explains enough of the variance for the shares to be meaningful."""
        return self.explained >= _LEAST_EXPLAINED

    @property
    def frozen(self) -> list[str]:
        """The parameters that could be frozen at the incumbent's value."""
        if not self.believed:
            return []
        return [n for n in self.names if max(self.fanova[n], self.shap[n]) < _FROZEN]


@dataclass(frozen=True)
class Sample:
    """The data of a forest: unit points, (n, n_names), and normal scores of values, (n,)."""

    names: list[str]
    points: Floats
    scores: Floats
    n_all: int


def conditional(runs: Sequence[Run], cube: UnitCube) -> list[str]:
    """Return the parameters that some evaluated configuration lacks."""
    return [
        name
        for name in cube.names
        if not all(name in config for run in runs for config in run.configs)
    ]


def families(runs: Sequence[Run], cube: UnitCube) -> list[list[str]]:
    """Return the groups of conditional parameters that are active in the same evaluations."""
    by_evaluations: dict[bytes, list[str]] = {}
    for name in conditional(runs, cube):
        active = np.array([name in config for run in runs for config in run.configs])
        if active.any():
            by_evaluations.setdefault(active.tobytes(), []).append(name)
    return list(by_evaluations.values())


def sample(runs: Sequence[Run], cube: UnitCube, of: Sequence[str] = ()) -> Sample | None:
    """Return a sample of a task's evaluations; None if a forest cannot be fitted.

    This is so with fewer than `LEAST` evaluations, fewer than two parameters, or all values equal.

    Args:
        runs: the runs of the task.
        cube: the axes of its space.
        of: conditional parameters, in whose sample they are all active; without them, the sample
            is of all evaluations, and has the parameters that are not conditional.
    """
    every = [
        (run, i)
        for run in runs
        for i in np.flatnonzero(run.fidelities == 1.0).tolist()
        if all(name in run.configs[i] for name in of)
    ]
    rng = np.random.default_rng(_SEED)
    chosen = [every[k] for k in rng.permutation(len(every))[:MOST].tolist()]
    values = np.array([_value(run, i) for run, i in chosen])
    kept = set(of) if of else {*cube.names} - {*conditional(runs, cube)}
    varied = (cube.n_values > 1) & np.array([name in kept for name in cube.names])
    names = [name for name, many in zip(cube.names, varied.tolist(), strict=True) if many]
    if len(values) < LEAST or len(names) < 2 or np.ptp(rankdata(values)) == 0:
        return None
    points = np.array([cube.point(run.configs[i]) for run, i in chosen])[:, varied]
    scores = norm.ppf((rankdata(values) - 0.5) / len(values))
    return Sample(names, points, scores, len(every))


def prepare() -> None:
    """Import the libraries that `measure` needs, which takes seconds."""
    import optuna
    import shap
    from sklearn.ensemble import RandomForestRegressor

    del optuna, shap, RandomForestRegressor


def measure(given: Sample) -> Importance:
    """Return the importance of the parameters."""
    shap, explained = _shap(given.points, given.scores)
    columns = dict(zip(given.names, given.points.T, strict=True))
    ends = dict.fromkeys(given.names, (0.0, 1.0))
    return Importance(
        given.names,
        fanova(columns, ends, given.scores, _N_TREES, _MAX_DEPTH),
        dict(zip(given.names, shap, strict=True)),
        explained,
        len(given.scores),
        given.n_all,
    )


def _value(run: Run, i: int) -> float:
    failed = run.errors[i] is not None or np.isnan(run.values[i])
    return float("inf") if failed else float(run.values[i])


def _shap(points: Floats, scores: Floats) -> tuple[list[float], float]:
    import shap  # needs the extra `report`; takes two seconds to import
    from sklearn.ensemble import RandomForestRegressor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few points may have no out-of-bag estimate
        forest = RandomForestRegressor(
            2 * _N_TREES, max_depth=_MAX_DEPTH, oob_score=True, random_state=_SEED
        ).fit(points, scores)
    sizes = np.abs(shap.TreeExplainer(forest).shap_values(points)).mean(axis=0)
    return (sizes / max(sizes.sum(), 1e-12)).tolist(), float(forest.oob_score_)
