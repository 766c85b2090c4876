"""Maximise an acquisition function over the unit points of a mixed, conditional space.

A pool of candidates is scored at once: Sobol points, randomly shifted in each step, and
perturbations of the best known points. From the best few candidates, L-BFGS-B maximises over the
continuous axes, with all starts as one problem (their sum, whose Hessian is block-diagonal), as in
BoTorch's `optimize_acqf`. Discrete and continuous axes are optimised in turn: the discrete ones
over all combinations if there are at most 10^4, and otherwise over those that differ in one axis. A
purely discrete space of at most 10^4 configurations is enumerated.

Configurations are checked for admission (allowed by the space, and not known) in descending order
of acquisition, so few of these possibly expensive checks are made.
"""

import math
from collections.abc import Callable, Iterable
from itertools import chain, product

import numpy as np
import scipy.optimize
from ConfigSpace import UniformIntegerHyperparameter
from numpy.typing import NDArray

from objectives.space import UnitCube
from objectives.trial import Config, Value
from optimizers.acquisition import Acquisition
from optimizers.features import Features
from optimizers.light_qmc import qmc

MAX_ENUMERATED = 10_000
_N_LOCAL = 60  # number of perturbations of the best points in the pool
_N_MOVED = 20  # approximate number of axes that a perturbation changes, if there are more
_N_ROUNDS = 3  # rounds of a discrete and a continuous step
_N_POOLS = 20  # maximum number of pools drawn until one contains an admitted point
_MAX_ITERATIONS = 20  # iterations of L-BFGS-B
_CHUNK = 2048  # rows scored at once, which limits the memory

Points = NDArray[np.float64]
Key = tuple[tuple[str, Value], ...]
Admits = Callable[[Config], bool]
"""Returns whether a configuration may be proposed."""


def key(config: Config) -> Key:
    """Return a hashable key that identifies a configuration."""
    return tuple(sorted(config.items()))


class AcquisitionSearch:
    """Proposes the admitted configuration with the greatest acquisition.

    Args:
        cube: the space.
        features: the map to the model's inputs.
        candidates: the number of Sobol points in a pool, which must be a power of two.
        starts: the number of local searches.
        seed: the seed of the Sobol points.
    """

    def __init__(
        self, cube: UnitCube, features: Features, *, candidates: int, starts: int, seed: int
    ) -> None:
        self._cube = cube
        self._features = features
        self._n_starts = starts
        self._sobol: Points = qmc.Sobol(cube.dim, scramble=True, rng=seed).random(candidates)
        counts = cube.n_values if cube.finite is None else np.ones(cube.dim)
        self._float_axes = np.flatnonzero(np.isinf(counts))
        self._discrete_axes = np.flatnonzero(np.isfinite(counts) & (counts > 1))
        self._snaps = len(self._float_axes) < cube.dim or bool(cube.space.conditions or cube.listed)
        # Indices of the float axes among the numeric columns, which have the derivatives.
        columns = features.column_of[self._float_axes]
        self._slope_of = np.searchsorted(features.numeric, columns)
        self._column_of = columns
        size = float(np.prod(cube.n_values[self._discrete_axes]))
        self._table = self._enumerate() if size <= MAX_ENUMERATED else None
        self._keys = self._all_keys()

    # ---- the discrete part

    def _place(self, axis: int, index: int) -> float:
        """Return the coordinate in [0, 1] of value number `index` of a discrete axis."""
        name = self._cube.names[axis]
        parameter = self._cube.space[name]
        if isinstance(
            parameter, UniformIntegerHyperparameter
        ):  # intervals differ in length on a log scale
            return float(self._cube.point({name: int(parameter.lower) + index})[axis])
        return float((index + 0.5) / self._cube.n_values[axis])

    def _enumerate(self) -> Points:
        """Return the distinct discrete parts (m, dim), with active continuous axes at 1/2."""
        if self._cube.finite is not None:
            self._free_of_row = np.zeros((len(self._cube.finite), 0), dtype=bool)
            return np.array([self._cube.point(config) for config in self._cube.finite])
        levels = [
            [self._place(axis, index) for index in range(int(n))] if np.isfinite(n) else [0.5]
            for axis, n in enumerate(self._cube.n_values)
        ]
        configs: dict[Key, Config] = {}
        for u in product(*levels):
            config = self._cube.config(u)
            configs.setdefault(key(config), config)
        self._free_of_row = np.array([self._free(config) for config in configs.values()])
        return np.array([self._cube.point(config) for config in configs.values()])

    def _all_keys(self) -> set[Key] | None:
        """Return the keys of all allowed configurations; None if the space is not enumerable."""
        if self._table is None or self._free_of_row.any():
            return None
        configs = [self._cube.config(u) for u in self._table]
        return {key(config) for config in configs if self._cube.allows(config)}

    def exhausted(self, excluded: set[Key]) -> bool:
        """Return whether it is known that every configuration is excluded."""
        keys = self._keys
        return keys is not None and len(keys) <= len(excluded) and keys <= excluded

    def _free(self, config: Config) -> NDArray[np.bool_]:
        """Return which continuous axes (floats,) are active in a configuration."""
        return np.array([self._cube.names[a] in config for a in self._float_axes], dtype=bool)

    # ---- candidates

    def _admitted(self, points: Iterable[Points], admits: Admits) -> Config | None:
        """Return the configuration of the first of the points that is admitted."""
        return next(filter(admits, map(self._cube.config, points)), None)

    def _snap(self, points: Points) -> Points:
        return np.array([self._cube.snap(u) for u in points]) if self._snaps else points

    def pool(self, best: Points, rng: np.random.Generator) -> Points:
        """Return candidates (m, dim), a few of them near `best` (k, dim), admitted or not."""
        if self._table is not None and len(self._float_axes) == 0:
            return self._table
        dim = self._cube.dim
        points = (self._sobol + rng.random(dim)) % 1.0
        if len(best):
            centres = best[rng.integers(len(best), size=_N_LOCAL)]
            widths = 10 ** rng.uniform(-3, -0.5, size=(_N_LOCAL, 1))
            steps = widths * rng.standard_normal(centres.shape)
            if dim > _N_MOVED:
                steps *= rng.random(steps.shape) < _N_MOVED / dim
            points = np.concatenate([points, np.clip(centres + steps, 0.0, 1.0)])
        return self._snap(points)

    def spread(self, known: Points, admits: Admits, rng: np.random.Generator) -> Config | None:
        """Return the admitted candidate farthest from the `known` points (k, dim)."""
        inputs = self._features.of_snapped(known)
        for _ in range(_N_POOLS):
            pool = self.pool(known[:0], rng)
            order = np.arange(len(pool))
            if len(known):
                columns = self._features.of_snapped(pool)
                squares = (columns**2).sum(1)[:, None] - 2 * columns @ inputs.T
                order = np.argsort(-(squares + (inputs**2).sum(1)).min(axis=1), kind="stable")
            config = self._admitted(pool[order], admits)
            if config is not None:
                return config
        return None

    # ---- the search

    def maximise(
        self, worth: Acquisition, best: Points, admits: Admits, rng: np.random.Generator
    ) -> Config | None:
        """Return the admitted configuration with the greatest acquisition, or None."""
        for _ in range(_N_POOLS):
            pool = self.pool(best, rng)
            scores = self._score(worth, pool)
            order = np.argsort(-scores, kind="stable")
            if len(self._float_axes) == 0 and self._table is not None:
                return self._admitted(pool[order], admits)
            starts = self._starts(pool[order], admits)
            if len(starts):
                break
        else:
            return None
        points, heights = self._climb(worth, starts)
        if len(self._discrete_axes):
            top = int(np.argmax(heights))
            points[top], heights[top] = self._alternate(worth, points[top], heights[top], admits)
        ranked = chain(points[np.argsort(-heights, kind="stable")], starts)
        return self._admitted(ranked, admits)

    def _score(self, worth: Acquisition, points: Points) -> Points:
        inputs = self._features.of_snapped(points)
        chunks = [inputs[start : start + _CHUNK] for start in range(0, len(inputs), _CHUNK)]
        scores = np.concatenate([worth.at(chunk) for chunk in chunks])
        scores[~np.isfinite(scores)] = -1e300
        return scores

    def _starts(self, ranked: Points, admits: Admits) -> Points:
        """Return the admitted ones (k, dim) of ranked points that are not near a better one."""
        chosen: list[Points] = []
        for u in ranked:
            if len(chosen) == self._n_starts:
                break
            near = any(np.abs(other - u).max() <= 0.05 for other in chosen)
            if not near and admits(self._cube.config(u)):
                chosen.append(u)
        return np.array(chosen).reshape(-1, self._cube.dim)

    def _climb(self, worth: Acquisition, starts: Points) -> tuple[Points, Points]:
        """Return local maximisers (k, dim) over active continuous axes, and their acquisition."""
        if self._snaps:
            free = np.array([self._free(self._cube.config(u)) for u in starts])
        else:
            free = np.ones(starts.shape, dtype=bool)
        if not free.any():
            return starts.copy(), self._score(worth, starts)
        inputs = self._features.of_snapped(starts).copy()

        def negated(flat: Points) -> tuple[float, Points]:
            inputs[:, self._column_of] = flat.reshape(free.shape)
            heights, slopes = worth.slopes(inputs)
            gradient = (slopes[:, self._slope_of] * free).ravel()
            total = -float(heights.sum())
            if math.isfinite(total) and np.isfinite(gradient).all():
                return total, -gradient
            return 1e300, np.zeros(free.size)

        result = scipy.optimize.minimize(
            negated,
            starts[:, self._float_axes].ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * free.size,
            options={"maxiter": _MAX_ITERATIONS, "ftol": 1e-6},
        )
        improved = starts.copy()
        improved[:, self._float_axes] = np.clip(result.x, 0.0, 1.0).reshape(free.shape)
        heights, before = self._score(worth, improved), self._score(worth, starts)
        worse = before > heights
        improved[worse], heights[worse] = starts[worse], before[worse]
        return improved, heights

    def _alternate(
        self, worth: Acquisition, u: Points, height: float, admits: Admits
    ) -> tuple[Points, float]:
        """Return a point (dim,) that neither a discrete nor a continuous step improves."""
        for _ in range(_N_ROUNDS):
            others = self._neighbours(u)
            scores = self._score(worth, others) if len(others) else np.zeros(0)
            better = np.argsort(-scores, kind="stable")[: int((scores > height + 1e-9).sum())]
            config = self._admitted(others[better], admits)
            if config is None:
                break
            improved, heights = self._climb(worth, self._cube.point(config)[None])
            u, height = improved[0], float(heights[0])
        return u, height

    def _neighbours(self, u: Points) -> Points:
        """Return points (m, dim) with the continuous part of `u` and other discrete parts."""
        if self._table is not None:
            points = self._table.copy()
            points[:, self._float_axes] = np.where(self._free_of_row, u[self._float_axes], 0.5)
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
        return self._snap(np.array(rows).reshape(-1, self._cube.dim))
