"""ParEGO: `gp_bo`'s model and search on random scalarisations of several goals.

J. Knowles, *ParEGO: A Hybrid Algorithm With On-Line Landscape Approximation for Expensive
Multiobjective Optimization Problems*, IEEE Trans. Evol. Comp. 10(1), 2006. In each step a weight
vector w (m,) is drawn uniformly from those with components l / s, l = 0, ..., s, whose sum is 1
(eq. 3). All evaluations are scalarised by the augmented Tchebycheff function (eq. 2)

    f_w = max_i w_i g_i + 0.05 sum_i w_i g_i

of the goals g, each scaled to [0, 1] over the successes so far. The step is then a step of `gp_bo`
on f_w: its model with a chosen warp, its acquisition, and in every k-th step the minimum of the
mean. With fewer than two goals, it is `gp_bo`.

Departures: the model and the search are those of `gp_bo` instead of DACE and a genetic algorithm,
and the model uses all evaluations. The design is that of `gp_bo`, which is smaller than 11 d - 1. A
failure has the worst number of each goal, see `optimizers/goal_targets.py`. Limits are handled as
in `gp_bo`.
"""

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives.trial import Goal, Limit
from optimizers.goal_targets import goal_targets, succeeded
from optimizers.gp_bo import GaussianProcessOptimizer

RHO = 0.05  # the weight of the sum
_DIVISIONS = {2: 10, 3: 4}  # s by the number of goals, as in the publication
_MORE_GOALS = 3  # s for more goals


class ParEGO(GaussianProcessOptimizer):
    """Asks for a small design, then for the greatest acquisition under random scalarisations.

    Args:
        goals: the goals by metric.
        settings: the settings of `gp_bo`.
    """

    version: int = 1

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        goals: Mapping[str, Goal],
        limits: Mapping[str, Limit] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(space, seed=seed, limits=limits, **settings)
        self._goals = dict(goals) if len(goals) > 1 else {}
        self._weights = weight_vectors(max(len(self._goals), 1))

    def weights(self, trial_id: int) -> NDArray[np.float64]:
        """Return the weights (m,) of the step that asks for a trial."""
        rng = np.random.default_rng([self.seed, trial_id, 0x3A6])
        chosen: NDArray[np.float64] = self._weights[int(rng.integers(len(self._weights)))]
        return chosen

    def _any_success(self) -> bool:
        return any(succeeded(evaluation, self._goals) for evaluation in self._told)

    def _targets(self) -> NDArray[np.float64]:
        if not self._goals:
            return super()._targets()
        f = goal_targets(self._told, self._goals)  # (n, m)
        success = np.array([succeeded(evaluation, self._goals) for evaluation in self._told])
        best, worst = f[success].min(axis=0), f[success].max(axis=0)
        g = (f / 2 - best / 2) / np.where(worst > best, worst / 2 - best / 2, 1.0)
        self._n_fitted = 0  # this step's weights change the targets of all evaluations
        return scalarised(g, self.weights(self._n_trials))


def scalarised(g: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return f_w (n,) of scaled goals g (n, m) under weights w (m,)."""
    weighted = g * w
    f: NDArray[np.float64] = weighted.max(axis=1) + RHO * weighted.sum(axis=1)
    return f


def weight_vectors(m: int) -> NDArray[np.float64]:
    """Return all vectors (C(s + m - 1, m - 1), m) of multiples of 1 / s whose sum is 1."""
    s = _DIVISIONS.get(m, _MORE_GOALS)
    rows = []
    for bars in combinations(range(s + m - 1), m - 1):  # stars and bars
        ends = [-1, *bars, s + m - 1]
        rows.append([right - left - 1 for left, right in zip(ends[:-1], ends[1:], strict=True)])
    assert len(rows) == math.comb(s + m - 1, m - 1)
    return np.array(rows, dtype=np.float64) / s
