"""Test problems of several goals, whose Pareto fronts are known; all goals are minimised.

- `zdt1`, `zdt2`, `zdt3`: E. Zitzler, K. Deb and L. Thiele, *Comparison of Multiobjective
  Evolutionary Algorithms*, Evol. Comp. 8(2), 2000.
- `dtlz2`: K. Deb, L. Thiele, M. Laumanns and E. Zitzler, *Scalable Test Problems for Evolutionary
  Multiobjective Optimization*, 2005; `c2_dtlz2`, with a limit: H. Jain and K. Deb, IEEE Trans.
  Evol. Comp. 18(4), 2014.

Definitions and reference points are BoTorch's (`botorch.test_functions.multi_objective`), which
the tests use as oracles, and so are the largest hypervolumes that have a closed form. There is one
departure: BoTorch leaves out the factor g of ZDT3's f2, which the publication has.

The shift. In the published problems, the front is at 0 (ZDT) or 1/2 (DTLZ2) on these axes, which
favours optimizers that begin there. Therefore, each axis that only measures the distance from the
front enters as z = |x - c| / max(c, 1 - c) for ZDT, or as x - c + 1/2 for DTLZ2. The seed of the
shift draws c uniformly in [0.2, 0.8]. The front itself does not change.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import ClassVar

import numpy as np

from objectives import expected
from objectives.draws import draws
from objectives.functions.box import Vector
from objectives.objective import Objective
from objectives.override import Descriptions, override
from objectives.space import build_space, check
from objectives.trial import Evaluation, Goal, Trial
from objectives.wanted import Bounds, Names, Wanted

_MARGIN = 0.2  # distance of a shifted front from the bounds, as a share of the range
_N_FRONT = 200  # points of a front


class ParetoFunction(Objective):
    """A formula on [0, 1]^dim with goals f1, f2, ... and its front.

    Attributes:
        also: the metrics other than the goals.
        kept: the limits of the problem, by metric.
        centres: the place of the front on each axis that measures the distance from it.
    """

    cheap = True
    also: ClassVar[Mapping[str, Goal]] = {}
    kept: ClassVar[Mapping[str, float]] = {}
    centres: Vector = np.zeros(0)

    def __init__(
        self,
        *,
        dim: int,
        references: Sequence[float],
        goals: Names,
        limits: Bounds,
        space: Descriptions,
    ) -> None:
        """Build the space, and choose the goals.

        Args:
            dim: the number of axes.
            references: the reference of each goal for the hypervolume.
            goals: the setting `goals`; None means all goals.
            limits: the setting `limits`; None means the limits of the problem.
            space: changes to the parameters x1, ..., x_dim.

        Raises:
            ValueError: a setting does not have the described form.
        """
        self.references = list(references)
        self.names = [f"x{axis}" for axis in range(1, dim + 1)]
        axes = {name: {"type": "float", "lower": 0.0, "upper": 1.0} for name in self.names}
        self.space = build_space(override(axes, space))
        own = {
            f"f{i}": Goal(minimise=True, reference=reference)
            for i, reference in enumerate(references, 1)
        }
        self._wanted = Wanted.of(goals, limits, {**own, **self.also}, list(own), self.kept)
        self.goals, self.limits = self._wanted.goals, self._wanted.limits
        whole_space = not space
        as_published = limits is None and list(self.goals) == list(own) and whole_space
        if as_published:
            self.front = [dict(zip(own, point, strict=True)) for point in self.points().tolist()]
            self.hypervolume = self.most()

    @abstractmethod
    def formula(self, x: Vector) -> Vector:
        """Return the goals (m,) at a point (dim,) of the unit cube."""

    @abstractmethod
    def points(self) -> Vector:
        """Return points (n, m) of the Pareto front."""

    def most(self) -> float | None:
        """Return the hypervolume between the references and the front, if it is known."""
        return None

    def beside(self, f: Vector) -> dict[str, float]:
        """Return the metrics other than the goals."""
        return {}

    def evaluate(self, trial: Trial) -> Evaluation:
        start = perf_counter()
        check(self.space, trial.config)
        x = np.array([trial.config[name] for name in self.names], dtype=float)
        f = self.formula(x)
        metrics = {f"f{i}": value for i, value in enumerate(f.tolist(), 1)}
        metrics |= self.beside(f)
        return Evaluation(self._wanted.value(metrics), perf_counter() - start, metrics)


def _centres(shift: int | str | None, n: int, published: float) -> Vector:
    """Return the place c (n,) of the front on each axis that measures the distance from it."""
    if shift is None or shift == "none":
        return np.full(n, published)
    if not expected.is_whole(shift, 0):
        expected.refuse("shift", "an integer seed >= 0 or none", shift)
    return draws(shift).uniform(_MARGIN, 1 - _MARGIN, n)


class _Zdt(ParetoFunction):
    """f1 = x1 and f2 = g h(f1, g), with g = 1 + 9 mean(z2, ..., z_dim)."""

    def __init__(
        self,
        *,
        dim: int,
        shift: int | str | None,
        goals: Names,
        limits: Bounds,
        space: Descriptions,
    ) -> None:
        self.centres = _centres(shift, expected.whole("dim", dim, 2) - 1, 0.0)
        self.moved = shift not in (None, "none")
        super().__init__(dim=dim, references=(11.0, 11.0), goals=goals, limits=limits, space=space)

    def formula(self, x: Vector) -> Vector:
        z = np.abs(x[1:] - self.centres) / np.maximum(self.centres, 1 - self.centres)
        g = 1 + 9 * float(z.mean())
        f1 = float(x[0])
        return np.array([f1, g * float(self.h(np.array(f1), g))])

    @abstractmethod
    def h(self, f1: Vector, g: float) -> Vector:
        """Return the shape of the front, f2 / g, at f1."""

    def points(self) -> Vector:
        f1 = np.linspace(0, 1, _N_FRONT)
        return np.column_stack([f1, self.h(f1, 1.0)])


class Zdt1(_Zdt):
    """h = 1 - sqrt(f1 / g): a convex front."""

    def h(self, f1: Vector, g: float) -> Vector:
        return np.asarray(1 - np.sqrt(f1 / g))

    def most(self) -> float:
        return 120 + 2 / 3  # 11^2 less the area under 1 - sqrt(f1), which is 1/3


class Zdt2(_Zdt):
    """h = 1 - (f1 / g)^2: a concave front."""

    def h(self, f1: Vector, g: float) -> Vector:
        return np.asarray(1 - (f1 / g) ** 2)

    def most(self) -> float:
        return 120 + 1 / 3  # 11^2 less the area under 1 - f1^2, which is 2/3


class Zdt3(_Zdt):
    """h = 1 - sqrt(f1 / g) - (f1 / g) sin(10 pi f1): a front of five parts."""

    parts = (
        (0.0, 0.0830015349),
        (0.1822287280, 0.2577623634),
        (0.4093136748, 0.4538821041),
        (0.6183967944, 0.6525117038),
        (0.8233317983, 0.8518328654),
    )
    """The ranges of f1 on the front."""

    def h(self, f1: Vector, g: float) -> Vector:
        return np.asarray(1 - np.sqrt(f1 / g) - f1 / g * np.sin(10 * math.pi * f1))

    def points(self) -> Vector:
        inset = 1e-6  # the ends of the parts are rounded
        f1 = np.concatenate(
            [np.linspace(a + inset, b - inset, _N_FRONT // 5) for a, b in self.parts]
        )
        return np.column_stack([f1, self.h(f1, 1.0)])

    def most(self) -> float:
        return 128.77811613069076


class Dtlz2(ParetoFunction):
    """The unit sphere times 1 + g, with g = sum (z_i - 1/2)^2 over the last dim - m + 1 axes."""

    def __init__(
        self,
        *,
        dim: int,
        n_goals: int,
        shift: int | str | None,
        goals: Names,
        limits: Bounds,
        space: Descriptions,
    ) -> None:
        self._m = expected.whole("n_goals", n_goals, 2, 4)
        self.centres = _centres(shift, expected.whole("dim", dim, self._m + 1) - self._m + 1, 0.5)
        self.moved = shift not in (None, "none")
        super().__init__(
            dim=dim,
            references=[1.1] * self._m,
            goals=goals,
            limits=limits,
            space=space,
        )

    def formula(self, x: Vector) -> Vector:
        g = float(((x[self._m - 1 :] - self.centres) ** 2).sum())
        return (1 + g) * sphere(x[: self._m - 1])

    def points(self) -> Vector:
        n = round(_N_FRONT ** (1 / (self._m - 1)))
        axes = np.meshgrid(*[np.linspace(0, 1, n)] * (self._m - 1))
        places = np.column_stack([axis.ravel() for axis in axes])
        return np.unique(sphere(places).round(12), axis=0)

    def most(self) -> float | None:
        ball = math.pi ** (self._m / 2) / math.gamma(self._m / 2 + 1) / 2**self._m
        return float(1.1**self._m - ball)


def sphere(x: Vector) -> Vector:
    """Return points (..., m) of the positive unit sphere at angles x pi / 2, x (..., m - 1)."""
    angles = x * math.pi / 2
    m = x.shape[-1] + 1
    f = []
    for i in range(m):
        cosines = np.cos(angles[..., : m - 1 - i]).prod(axis=-1)
        f.append(cosines * np.sin(angles[..., m - 1 - i]) if i else cosines)
    return np.stack(f, axis=-1)


class C2Dtlz2(Dtlz2):
    """DTLZ2 whose front is feasible only near the axes and near its middle.

    The metric `slack` is at least 0 if min(min_i ((f_i - 1)^2 + sum_(j != i) (f_j^2 - r^2)), sum_i
    ((f_i - 1 / sqrt m)^2 - r^2)) is at most 0, with r = 0.2; that is the limit.
    """

    also = {"slack": Goal(minimise=False)}
    kept = {"slack": 0.0}

    def beside(self, f: Vector) -> dict[str, float]:
        return {"slack": float(slack(f))}

    def points(self) -> Vector:
        return _feasible(super().points())

    def most(self) -> float | None:
        if self._m > 2:
            return None
        fine = sphere(np.linspace(0, 1, 200_001)[:, None])
        return staircase(_feasible(fine), self.references)


def _feasible(front: Vector) -> Vector:
    return np.asarray(front[slack(front) >= 0])


def staircase(points: Vector, references: Sequence[float]) -> float:
    """Return the area between a reference and points (n, 2) that do not dominate each other."""
    f1, f2 = points[np.argsort(points[:, 0])].T
    widths = np.diff(np.append(f1, references[0]))
    return float((widths * (references[1] - f2)).sum())


def slack(f: Vector, r: float = 0.2) -> Vector:
    """Return the slack of goals f (..., m) under the limit of C2-DTLZ2; negative outside."""
    squares = f**2 - r**2
    near_axis = ((f - 1) ** 2 + squares.sum(axis=-1, keepdims=True) - squares).min(axis=-1)
    near_middle = ((f - 1 / math.sqrt(f.shape[-1])) ** 2 - r**2).sum(axis=-1)
    return np.asarray(-np.minimum(near_axis, near_middle))
