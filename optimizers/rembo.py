"""REMBO: Bayesian optimization in a random linear embedding.

Z. Wang, F. Hutter, M. Zoghi, D. Matheson and N. de Freitas, *Bayesian Optimization in a Billion
Dimensions via Random Embeddings*, JAIR 55 (2016), Alg. 2.

Notation of the paper: D parameters, of which at most d_e matter (in a rotated basis); a matrix A
(D, d) of independent N(0, 1); a point y in the box [-sqrt(d), sqrt(d)]^d, in which another
optimizer searches; p projects onto [-1, 1]^D. The evaluated point is

    x = p(A y) = min(max(A y, -1), 1),   u = (x + 1) / 2 in the unit cube.

If d >= d_e, the subspace holds an optimum with probability 1 (Theorem 2), though not always inside
the box. A is drawn once per run from the seed; the paper recommends several interleaved
embeddings, which this optimizer does not have.

**Warning.** The projection clips. With many parameters most coordinates of A y lie outside
[-1, 1], so that nearly all evaluated points lie on facets of the cube, where the optimum of a real
problem need not be. Different y are clipped to the same x, so that the function of y is
non-stationary and no model with a stationary kernel fits it. B. Letham, R. Calandra, A. Rai and E.
Bakshy, *Re-Examining Linear Embeddings for High-Dimensional Bayesian Optimization*, NeurIPS 2020
(sec. 4), show both effects, and that a box of fixed size may not contain an optimum. This optimizer
is included because it is a common reference; it is not recommended.

Departures: a configuration that was not asked (in a replay that drifted, or given first) is told at
the least-squares y, A^+ x, clipped to the box. A forbidden combination is rejected, and after 100
consecutive ones a random allowed configuration is asked.
"""

import math
from typing import Protocol

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives import expected
from objectives.space import UnitCube, build_space
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw

_TRIES = 100  # the largest number of attempts to obtain an allowed configuration


class MakeInner(Protocol):
    """Creates the optimizer that is wrapped."""

    def __call__(self, *, space: ConfigurationSpace, seed: int) -> Optimizer:
        """Return a fresh optimizer of a space."""


class Rembo(Optimizer):
    """Searches a random subspace of a few dimensions.

    Args:
        inner: a function that creates the optimizer that searches the box of y.
        dim: d, the number of dimensions of the subspace; at most D are used.

    Raises:
        ValueError: a setting is out of its range.
    """

    slow = True

    def __init__(self, space: ConfigurationSpace, *, seed: int, inner: MakeInner, dim: int) -> None:
        super().__init__(space, seed=seed)
        expected.whole("rembo.dim", dim, 1)
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng(seed)
        d = min(dim, self._cube.dim)
        self._matrix = self._rng.standard_normal((self._cube.dim, d))  # A
        self._half = math.sqrt(d)
        axis = {"type": "float", "lower": -self._half, "upper": self._half}
        self._names = [f"y{i}" for i in range(1, d + 1)]
        box = build_space({name: axis for name in self._names})
        if not callable(inner):
            raise ValueError(f"rembo.inner: expected an optimizer's settings, got {inner!r}")
        self._inner = inner(space=box, seed=int(self._rng.integers(2**31)))
        self.extendable = self._inner.extendable
        self._n_inner = 0  # number of ids that the inner optimizer has assigned or was told
        self._pending: dict[int, tuple[Config, Trial]] = {}

    def ask(self, n: int = 1) -> list[Trial]:
        trials: list[Trial] = []
        while len(trials) < n:
            found = self._next()
            if found is None:
                break
            config, inner = found
            trial = self._trial(config)
            if inner is not None:
                self._pending[trial.id] = config, inner
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        config, inner = self._pending.pop(trial.id, ({}, None))
        if inner is not None and config != trial.config:  # a replay that drifted
            self._inner.refuse(inner)
            inner = None
        if inner is None:
            inner = Trial(self._n_inner, self._embedded(trial.config))
            self._n_inner += 1
        self._inner.tell(inner, evaluation)

    def refuse(self, trial: Trial) -> None:
        _, inner = self._pending.pop(trial.id, ({}, None))
        if inner is not None:
            self._inner.refuse(inner)

    def close(self) -> None:
        self._inner.close()

    def point(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the unit point (D,) of a point `y` (d,) of the box."""
        x = np.clip(self._matrix @ y, -1.0, 1.0)  # p(A y)
        unit: NDArray[np.float64] = (x + 1.0) / 2.0
        return unit

    def _next(self) -> tuple[Config, Trial | None] | None:
        """Return a configuration and the inner trial to which it belongs; None means wait."""
        for _ in range(_TRIES):
            asked = self._inner.ask(1)
            if not asked:
                return None
            (trial,) = asked
            self._n_inner = trial.id + 1
            config = self._cube.config(self.point(np.array([trial.config[k] for k in self._names])))
            if self._cube.allows(config):
                return config, trial
            self._inner.refuse(trial)
        return draw(self._cube, self._rng), None

    def _embedded(self, config: Config) -> Config:
        """Return the least-squares y of a configuration."""
        x = 2.0 * self._cube.point(config) - 1.0
        y = np.clip(np.linalg.lstsq(self._matrix, x, rcond=None)[0], -self._half, self._half)
        return dict(zip(self._names, y.tolist(), strict=True))
