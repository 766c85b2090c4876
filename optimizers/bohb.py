"""BOHB: Falkner, Klein & Hutter, ICML 2018. Hyperband that proposes configurations with a model.

At the highest fidelity with enough evaluations, two densities are estimated (section 3.2): l from
the best evaluations, and g from the others. `candidates` points are drawn from l, with bandwidths
widened by `bandwidth_factor`, and the one with the largest l / g becomes the new configuration. A
fraction `random_fraction` of the configurations is drawn uniformly, and so are all configurations
while there are too few evaluations.

Notation of the paper, on the unit cube:

    d       number of axes
    N_min   d + 1, the number of points that a density needs
    N_good  max(N_min, q N), the number of evaluations that l is estimated from (equation 3)
    N_bad   max(N_min, N - N_good), the number of evaluations that g is estimated from

Departures: the densities are defined on the unit cube, so integers and ordinals are treated as
continuous. An inactive parameter is set to 1/2, whereas the authors' code draws it from other
evaluations. The bandwidth of an axis follows Scott's rule with the standard deviation of the
points, and is at least `_LEAST`.
"""

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from objectives import expected
from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.hyperband import Hyperband

Floats = NDArray[np.float64]
_LEAST = 1e-3  # the smallest bandwidth, as in the authors' code
_TINY = 1e-32


class Density:
    """A product kernel over points of the unit cube.

    Continuous axes have Gaussian kernels, truncated at 0 and 1. Unordered choices have the kernel
    of Aitchison and Aitken: 1 - h for the point's own choice, and h / (c - 1) for each of the other
    c - 1 choices.

    Args:
        points: unit points, shape (n, dim).
        n_choices: the number of unordered choices per axis, shape (dim,); 0 on a continuous axis.
    """

    def __init__(self, points: Floats, n_choices: NDArray[np.int64]) -> None:
        n, dim = points.shape
        self.points, self._choices = points, n_choices
        scott = 1.06 * points.std(axis=0) * n ** (-1 / (4 + dim))
        largest = np.where(n_choices > 0, 1 - 1 / np.maximum(n_choices, 1), np.inf)
        self.bandwidth = np.minimum(np.maximum(scott, _LEAST), largest)  # (dim,)

    def __call__(self, at: Floats) -> Floats:
        """Return the density (m,) at unit points (m, dim)."""
        factors = np.ones((len(at), len(self.points)))
        for axis, h in enumerate(self.bandwidth):
            gap = at[:, axis, None] - self.points[None, :, axis]
            c = self._choices[axis]
            if c > 0:
                factors *= np.where(np.abs(gap) < 0.5 / c, 1 - h, h / max(c - 1, 1))
                continue
            inside = ndtr((1 - self.points[:, axis]) / h) - ndtr(-self.points[:, axis] / h)
            factors *= np.exp(-0.5 * (gap / h) ** 2) / (h * np.sqrt(2 * np.pi) * inside)
        return np.asarray(factors.mean(axis=1))

    def draw(self, rng: np.random.Generator, n: int, factor: float) -> Floats:
        """Draw points (n, dim) after multiplying every bandwidth by a factor."""
        chosen = self.points[rng.integers(len(self.points), size=n)].copy()
        for axis, h in enumerate(self.bandwidth):
            c = self._choices[axis]
            centre, uniform = chosen[:, axis], rng.random(n)
            if c > 0:
                other = rng.random(n) < min(h * factor, 1 - 1 / c)
                chosen[:, axis] = np.where(other, (np.floor(uniform * c) + 0.5) / c, centre)
                continue
            low, high = ndtr(-centre / (factor * h)), ndtr((1 - centre) / (factor * h))
            moved = centre + factor * h * ndtri(low + uniform * (high - low))
            chosen[:, axis] = np.clip(moved, 0.0, 1.0)
        return chosen


class Bohb(Hyperband):
    """Hyperband whose configurations are proposed by a model of the evaluations.

    Args:
        good_fraction: q, the fraction of the evaluations that l is estimated from.
        candidates: the number of draws from l for each configuration.
        bandwidth_factor: the factor that widens the bandwidths for the draws.
        random_fraction: the fraction of the configurations that are drawn uniformly.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        fidelities: Fidelities | None,
        eta: int,
        least: float | None,
        sizes: str,
        good_fraction: float,
        candidates: int,
        bandwidth_factor: float,
        random_fraction: float,
    ) -> None:
        super().__init__(
            space,
            seed=seed,
            fidelities=fidelities,
            eta=eta,
            least=least,
            sizes=sizes,
            every_bracket=True,
        )
        for name, share in (("good_fraction", good_fraction), ("random_fraction", random_fraction)):
            expected.number(f"optimizer.{name}", share, least=0, most=1)
        self._n_candidates = expected.whole("optimizer.candidates", candidates, 1)
        self._factor = expected.number("optimizer.bandwidth_factor", bandwidth_factor, above=0)
        self._good, self._random = good_fraction, random_fraction
        sizes_of = np.where(self._cube.categorical, self._cube.n_values, 0)
        self._choices = sizes_of.astype(np.int64)
        self._answers: dict[float, list[tuple[float, int, Config]]] = {}

    def _new_config(self) -> Config:
        uniform = self._rng.random() < self._random
        densities = None if uniform else self._densities()
        if densities is None:
            return super()._new_config()
        good, bad = densities
        drawn = good.draw(self._rng, self._n_candidates, self._factor)
        points = np.array([self._cube.snap(u) for u in drawn])
        ratio = np.maximum(good(points), _TINY) / np.maximum(bad(points), _TINY)
        for place in np.argsort(-ratio, kind="stable"):
            config = self._cube.config(points[place])
            if self._cube.allows(config):
                return config
        return super()._new_config()

    def _densities(self) -> tuple[Density, Density] | None:
        """Return l and g at the highest fidelity with enough evaluations; None if there is none."""
        n_min = self._cube.dim + 1
        for share in sorted(self._answers, reverse=True):
            answers = sorted(self._answers[share], key=lambda one: one[:2])
            n_good = max(n_min, int(self._good * len(answers)))
            n_bad = max(n_min, len(answers) - n_good)
            if len(answers) < n_min + 2:
                continue
            points = np.array([self._cube.point(config) for _, _, config in answers])
            good, bad = points[:n_good], points[-n_bad:]
            return Density(good, self._choices), Density(bad, self._choices)
        return None

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        super().tell(trial, evaluation)
        failed = evaluation.error is not None or evaluation.value is None
        value = float("inf") if failed or evaluation.value is None else evaluation.value
        self._answers.setdefault(trial.fidelity, []).append((value, trial.id, trial.config))
