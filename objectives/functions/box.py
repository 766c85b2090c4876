"""A function on a box of floats x1, ..., xd, shifted by a seed.

The shift. An optimizer that starts at the centre of the box, or at a corner, must not benefit from
the published position of the minimiser. The objective is therefore f(x - delta) on the unchanged
box. On each axis, delta is uniform within at most +-15 % of the axis' width. It is limited so that
one known minimiser, the one that lies deepest inside the box, stays 5 % of the width away from the
boundary. With the shift `anywhere<seed>`, delta instead puts that minimiser at a point that is
uniform over the box, corners included. f is bounded by its optimum on all of R^d, so the optimum
keeps its value.
"""

import re
from abc import abstractmethod
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from objectives import expected
from objectives.draws import draws
from objectives.objective import Objective
from objectives.override import Descriptions, override
from objectives.space import build_space, check, holds
from objectives.trial import Config, Evaluation, Trial

_REACH = 0.15  # largest shift, as a share of an axis' width
_MARGIN = 0.05  # distance of the minimiser from the boundary, as a share of an axis' width

Vector = NDArray[np.float64]


class BoxFunction(Objective):
    """A formula with its bounds, its optimum on R^d and the minimisers within the bounds.

    Attributes:
        names: x1, ..., xd.
        shifted_by: delta (d,), see the module.
    """

    cheap = True

    def __init__(
        self,
        *,
        bounds: Sequence[tuple[float, float]],
        optimum: float,
        minimisers: Sequence[Sequence[float]],
        shift: int | str | None,
        space: Descriptions,
    ) -> None:
        """Shift the function and build its space.

        Args:
            bounds: (lower, upper) of each of the d axes.
            optimum: the lowest value of the formula on R^d.
            minimisers: points (d,) of the box at which the formula attains the optimum, at least
                one.
            shift: the seed of the shift, or none, or `anywhere` followed by a seed.
            space: keys of parameters x1, ..., xd that replace the default. If the resulting space
                contains no minimiser, the optimum and the minimisers are unknown.

        Raises:
            ValueError: `shift` or `space` does not have the described form.
        """
        box = np.array(bounds, dtype=float)  # (d, 2)
        known = np.array(minimisers, dtype=float)  # (n, d)
        self.shifted_by = _shift(shift, box, known)  # (d,)
        self.moved = shift not in (None, "none")
        if np.any(self.shifted_by):
            self.version = 2  # version 1 drew the shift from the random numbers of random search
        self.names = [f"x{axis}" for axis in range(1, len(box) + 1)]
        self.space = build_space(
            override(
                {
                    name: {"type": "float", "lower": lower, "upper": upper}
                    for name, (lower, upper) in zip(self.names, box.tolist(), strict=True)
                },
                space,
            )
        )
        inside = [config for config in map(self._config, known) if holds(self.space, config)]
        self.minimisers = tuple(inside)
        self.optimum = optimum if inside else None

    @abstractmethod
    def formula(self, x: Vector) -> float:
        """Return the value of the unshifted function at `x` (d,)."""

    def evaluate(self, trial: Trial) -> Evaluation:
        start = perf_counter()
        check(self.space, trial.config)
        x = np.array([trial.config[name] for name in self.names], dtype=float)
        value = float(self.formula(x - self.shifted_by))
        return Evaluation(value, perf_counter() - start)

    def _config(self, minimiser: Vector) -> Config:
        moved = (minimiser + self.shifted_by).tolist()
        return dict(zip(self.names, moved, strict=True))


def _shift(seed: int | str | None, box: Vector, minimisers: Vector) -> Vector:
    """Return delta (d,), by the rule of the module's docstring."""
    if seed is None or seed == "none":
        return np.zeros(len(box))
    anywhere = isinstance(seed, str) and re.fullmatch(r"anywhere(\d{1,9})", seed, re.ASCII)
    if anywhere:
        seed = int(anywhere[1])
    if not expected.is_whole(seed, 0):
        expected.refuse("shift", "an integer seed >= 0, none, or anywhere and a seed", seed)
    lower, upper = box.T
    width = upper - lower
    depths = (np.minimum(minimisers - lower, upper - minimisers) / width).min(axis=1)
    deepest = minimisers[int(depths.argmax())]
    if anywhere:
        uniform: Vector = draws(seed).uniform(lower, upper) - deepest
        return uniform
    least = np.maximum(-_REACH * width, lower + _MARGIN * width - deepest)
    most = np.minimum(_REACH * width, upper - _MARGIN * width - deepest)
    delta: Vector = draws(seed).uniform(least, most)
    return delta
