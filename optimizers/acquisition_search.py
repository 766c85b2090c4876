"""Maximise an acquisition function over the unit points of a mixed, conditional space.

A pool of scrambled Sobol points and of perturbations of the best points known is scored at
once; from the best few of the pool L-BFGS-B climbs on the continuous axes, all starts as one
problem (their sum; its Hessian is block-diagonal), as BoTorch's `optimize_acqf` does. The
discrete axes stay at configurations: they alternate with the continuous ones, over all
combinations where there are at most 10^4, else over those that differ in one axis.
A purely discrete space of at most 10^4 configurations is enumerated.
"""

import math
from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
import scipy.optimize
import torch
from ConfigSpace import UniformIntegerHyperparameter
from numpy.typing import NDArray
from scipy.stats import qmc

from objectives.space import UnitCube
from objectives.trial import Config, Value
from optimizers.acquisition import Acquisition
from optimizers.gaussian_process import GaussianProcess

MAX_ENUMERATED = 10_000
_N_LOCAL = 60  # perturbations of the best points in the pool
_N_ROUNDS = 3  # of discrete and continuous steps in turn
_MAX_ITERATIONS = 30  # of L-BFGS-B
_CHUNK = 2048  # rows scored at once: bounds the memory of a Monte Carlo acquisition

Points = NDArray[np.float64]
Key = tuple[tuple[str, Value], ...]


def key(config: Config) -> Key:
    """Return what identifies a configuration."""
    return tuple(sorted(config.items()))


class AcquisitionSearch:
    """Proposes the configuration of greatest acquisition among those not excluded."""

    def __init__(self, cube: UnitCube, gp: GaussianProcess, *, candidates: int, starts: int):
        self._cube = cube
        self._gp = gp
        self._n_candidates = candidates
        self._n_starts = starts
        self._float_axes = np.flatnonzero(np.isinf(cube.n_values))
        self._discrete_axes = np.flatnonzero(np.isfinite(cube.n_values) & (cube.n_values > 1))
        size = float(np.prod(cube.n_values[self._discrete_axes]))
        self._continuous = len(self._discrete_axes) == 0 and not cube.space.conditions
        self._table = self._enumerate() if size <= MAX_ENUMERATED else None
        self._keys = self._all_keys()

    def _place(self, axis: int, index: int) -> float:
        """Return the place in [0, 1] of the value `index` of a discrete axis."""
        name = self._cube.names[axis]
        parameter = self._cube.space[name]
        if isinstance(parameter, UniformIntegerHyperparameter):  # shares differ on a log scale
            return float(self._cube.point({name: int(parameter.lower) + index})[axis])
        return float((index + 0.5) / self._cube.n_values[axis])

    def _enumerate(self) -> Points:
        """Return the different allowed discrete parts (m, dim), continuous axes at 1/2."""
        levels = [
            [self._place(axis, index) for index in range(int(n))] if np.isfinite(n) else [0.5]
            for axis, n in enumerate(self._cube.n_values)
        ]
        return self._admissible(product(*levels), set())

    def _all_keys(self) -> set[Key] | None:
        """Return every configuration of an enumerated space, None where there is no end to them."""
        if self._table is None:
            return None
        configs = [self._cube.config(u) for u in self._table]
        return None if any(self._free(c).any() for c in configs) else {key(c) for c in configs}

    def exhausted(self, excluded: set[Key]) -> bool:
        """Return whether it is known that every configuration is excluded."""
        return self._keys is not None and self._keys <= excluded

    def _free(self, config: Config) -> NDArray[np.bool_]:
        """Return which continuous axes (floats,) are active in a configuration."""
        return np.array([self._cube.names[a] in config for a in self._float_axes], dtype=bool)

    def _admissible(self, points: Iterable[Any], excluded: set[Key]) -> Points:
        """Return the snapped points (m', dim) of those that are allowed and not excluded."""
        kept: dict[Key, Points] = {}
        for u in points:
            config = self._cube.config(u)
            name = key(config)
            if name not in excluded and name not in kept and self._cube.allows(config):
                kept[name] = self._cube.point(config)
        return np.array(list(kept.values())).reshape(-1, self._cube.dim)

    def pool(self, best: Points, excluded: set[Key], rng: np.random.Generator) -> Points:
        """Return admissible candidates (m, dim), few near `best` (k, dim); m = 0 where none is."""
        if self._table is not None and len(self._float_axes) == 0:
            return self._admissible(self._table, excluded)
        sobol = qmc.Sobol(self._cube.dim, scramble=True, rng=int(rng.integers(2**31)))
        points = sobol.random(self._n_candidates)
        if len(best):
            centres = best[rng.integers(len(best), size=_N_LOCAL)]
            widths = 10 ** rng.uniform(-3, -0.5, size=(_N_LOCAL, 1))
            moved = centres + widths * rng.standard_normal(centres.shape)
            points = np.concatenate([points, np.clip(moved, 0.0, 1.0)])
        return (
            points
            if self._continuous and not self._cube.space.forbidden_clauses
            else (self._admissible(points, excluded))
        )

    def maximise(
        self,
        worth: Acquisition,
        best: Points,
        excluded: set[Key],
        rng: np.random.Generator,
    ) -> Config | None:
        """Return the configuration of greatest worth that is not excluded; None: found none."""
        pool = self.pool(best, excluded, rng)
        if len(pool) == 0:
            return None
        scores = self._score(worth, pool)
        order = np.argsort(-scores, kind="stable")
        if len(self._float_axes) == 0 and self._table is not None:
            return self._cube.config(pool[order[0]])
        starts = pool[self._spread(pool, order)]
        found, heights = self._climb(worth, starts)
        if len(self._discrete_axes):
            top = int(np.argmax(heights))
            found[top], heights[top] = self._alternate(worth, found[top], heights[top], excluded)
        ranked = [*found[np.argsort(-heights, kind="stable")], *pool[order]]
        for u in ranked:
            config = self._cube.config(u)
            if key(config) not in excluded and self._cube.allows(config):
                return config
        return None

    @torch.no_grad()
    def _score(self, worth: Acquisition, points: Points) -> Points:
        features = self._gp.features_of_snapped(points)
        chunks = [features[start : start + _CHUNK] for start in range(0, len(features), _CHUNK)]
        scores: Points = torch.cat([worth(chunk) for chunk in chunks]).numpy()
        return np.nan_to_num(scores, nan=-1e300, neginf=-1e300)

    def _spread(self, pool: Points, order: NDArray[np.intp]) -> list[int]:
        """Return places of the best of the pool that are not neighbours of a better one."""
        chosen = [int(order[0])]
        for place in order[1 : 20 * self._n_starts]:
            if len(chosen) == self._n_starts:
                break
            if np.abs(pool[chosen] - pool[place]).max(axis=1).min() > 0.05:
                chosen.append(int(place))
        return chosen

    def _climb(self, worth: Acquisition, starts: Points) -> tuple[Points, Points]:
        """Return local maximisers (k, dim) over the active continuous axes, and their worth."""
        free = np.array([self._free(self._cube.config(u)) for u in starts])
        if not free.any():
            return starts.copy(), self._score(worth, starts)
        base = self._gp.features_of_snapped(starts)
        columns = torch.from_numpy(self._gp.columns[self._float_axes])
        mask = torch.from_numpy(free)

        def negated(flat: Points) -> tuple[float, Points]:
            moved = torch.from_numpy(flat.reshape(free.shape)).requires_grad_(True)
            x = base.index_copy(1, columns, moved)
            total = -worth(x).sum()
            (gradient,) = torch.autograd.grad(total, moved)
            gradient = torch.nan_to_num(gradient * mask, nan=0.0)
            value = float(total.detach())
            return value if math.isfinite(value) else 1e300, gradient.numpy().ravel()

        result = scipy.optimize.minimize(
            negated,
            starts[:, self._float_axes].ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * free.size,
            options={"maxiter": _MAX_ITERATIONS},
        )
        found = starts.copy()
        found[:, self._float_axes] = np.clip(result.x, 0.0, 1.0).reshape(free.shape)
        heights, before = self._score(worth, found), self._score(worth, starts)
        worse = before > heights
        found[worse], heights[worse] = starts[worse], before[worse]
        return found, heights

    def _alternate(
        self, worth: Acquisition, u: Points, height: float, excluded: set[Key]
    ) -> tuple[Points, float]:
        """Return a point (dim,) that neither its discrete nor its continuous part can improve."""
        for _ in range(_N_ROUNDS):
            others = self._admissible(self._neighbours(u), excluded)
            if len(others) == 0:
                break
            scores = self._score(worth, others)
            top = int(np.argmax(scores))
            if scores[top] <= height + 1e-9:
                break
            found, heights = self._climb(worth, others[top : top + 1])
            u, height = found[0], float(heights[0])
        return u, height

    def _neighbours(self, u: Points) -> Points:
        """Return points (m, dim) with the continuous part of `u` and other discrete parts."""
        if self._table is not None:
            points = self._table.copy()
            points[:, self._float_axes] = u[self._float_axes]
            return points
        rows: list[Points] = []
        config = self._cube.config(u)
        for axis in self._discrete_axes:
            name, count = self._cube.names[axis], int(self._cube.n_values[axis])
            if name not in config:
                continue
            parameter = self._cube.space[name]
            here = int(u[axis] * count)
            if isinstance(parameter, UniformIntegerHyperparameter):
                here = int(config[name]) - int(parameter.lower)
            steps = (-32, -8, -4, -2, -1, 1, 2, 4, 8, 32)
            for place in range(count) if count <= 32 else [here + step for step in steps]:
                if place != here and 0 <= place < count:
                    row = u.copy()
                    row[axis] = self._place(int(axis), place)
                    rows.append(row)
        return np.array(rows).reshape(-1, self._cube.dim)
