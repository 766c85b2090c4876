"""Twelve further test functions that no optimizer of this suite was tuned on.

Formulas, bounds and optima as in M. Jamil and X.-S. Yang, A Literature Survey of Benchmark
Functions for Global Optimization Problems, arXiv 1308.4008, and in S. Surjanovic and D. Bingham,
Virtual Library of Simulation Experiments, https://www.sfu.ca/~ssurjano/optimization.html. None is
among BBOB's families or in `synthetic.py`. They serve confirmation: a claim that was formed on
other functions is tested on these.

All are bounded by their optimum on the whole of R^d, as the shift of `box.py` needs: sums of
squares or of non-negative terms; Styblinski-Tang's, Qing's and the cosine mixture's terms have one
variable each; Trid's form is convex.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from objectives import expected
from objectives.functions.box import BoxFunction, Vector
from objectives.override import Descriptions

# The root of 4 x^3 - 32 x + 5 that minimises (x^4 - 16 x^2 + 5 x) / 2, and the minimum.
_STYBLINSKI = -2.9035340276896057
_STYBLINSKI_OPTIMUM = (_STYBLINSKI**4 - 16 * _STYBLINSKI**2 + 5 * _STYBLINSKI) / 2


@dataclass(frozen=True)
class Formula:
    """One function.

    Attributes:
        value: from x (d,) to the value.
        bounds: from d to (lower, upper) of each axis.
        minimiser: from d to a global minimiser (d,).
        optimum: from d to the value there.
        dimensions: d is a multiple of this number, and at least 2.
    """

    value: Callable[[Vector], float]
    bounds: Callable[[int], tuple[float, float]]
    minimiser: Callable[[int], list[float]]
    optimum: Callable[[int], float] = lambda d: 0.0
    dimensions: int = 1


def _numbers(x: Vector) -> Vector:
    """Return 1, ..., d."""
    return np.arange(1.0, len(x) + 1)


def _griewank(x: Vector) -> float:
    """1 + sum of x_i^2 / 4000 - product of cos(x_i / sqrt i)."""
    return float(1 + np.sum(x**2) / 4000 - np.prod(np.cos(x / np.sqrt(_numbers(x)))))


def _styblinski_tang(x: Vector) -> float:
    """Sum of (x_i^4 - 16 x_i^2 + 5 x_i) / 2."""
    return float(np.sum(x**4 - 16 * x**2 + 5 * x) / 2)


def _dixon_price(x: Vector) -> float:
    """(x_1 - 1)^2 + sum over i > 1 of i (2 x_i^2 - x_{i-1})^2."""
    return float((x[0] - 1) ** 2 + np.sum(_numbers(x)[1:] * (2 * x[1:] ** 2 - x[:-1]) ** 2))


def _zakharov(x: Vector) -> float:
    """Sum of x_i^2, plus s^2 + s^4 with s = sum of i x_i / 2."""
    s = float(np.sum(_numbers(x) * x) / 2)
    return float(np.sum(x**2)) + s**2 + s**4


def _powell(x: Vector) -> float:
    """Sum over groups of four: (a + 10 b)^2 + 5 (c - d)^2 + (b - 2 c)^4 + 10 (a - d)^4."""
    a, b, c, d = x.reshape(-1, 4).T
    return float(
        np.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)
    )


def _salomon(x: Vector) -> float:
    """1 - cos(2 pi |x|) + |x| / 10."""
    r = float(np.linalg.norm(x))
    return 1 - math.cos(2 * math.pi * r) + 0.1 * r


def _trid(x: Vector) -> float:
    """Sum of (x_i - 1)^2 - sum over i > 1 of x_i x_{i-1}."""
    return float(np.sum((x - 1) ** 2) - np.sum(x[1:] * x[:-1]))


def _qing(x: Vector) -> float:
    """Sum of (x_i^2 - i)^2."""
    return float(np.sum((x**2 - _numbers(x)) ** 2))


def _cosine_mixture(x: Vector) -> float:
    """Sum of x_i^2 - cos(5 pi x_i) / 10."""
    return float(np.sum(x**2 - 0.1 * np.cos(5 * math.pi * x)))


def _brown(x: Vector) -> float:
    """Sum over i < d of (x_i^2)^(x_{i+1}^2 + 1) + (x_{i+1}^2)^(x_i^2 + 1)."""
    a, b = x[:-1] ** 2, x[1:] ** 2
    return float(np.sum(a ** (b + 1) + b ** (a + 1)))


def _whitley(x: Vector) -> float:
    """Sum over i, j of y^2 / 4000 - cos y + 1 with y = 100 (x_i^2 - x_j)^2 + (1 - x_j)^2."""
    y = 100 * (x[:, None] ** 2 - x[None, :]) ** 2 + (1 - x[None, :]) ** 2
    return float(np.sum(y**2 / 4000 - np.cos(y) + 1))


def _stretched_v(x: Vector) -> float:
    """Sum over i < d of r^(1/4) (sin^2(50 r^(1/10)) + 1/10) with r = x_i^2 + x_{i+1}^2."""
    r = x[:-1] ** 2 + x[1:] ** 2
    return float(np.sum(r**0.25 * (np.sin(50 * r**0.1) ** 2 + 0.1)))


FORMULAS = {
    "brown": Formula(_brown, lambda d: (-1.0, 4.0), lambda d: [0.0] * d),
    "cosine_mixture": Formula(
        _cosine_mixture, lambda d: (-1.0, 1.0), lambda d: [0.0] * d, lambda d: -0.1 * d
    ),
    "dixon_price": Formula(
        _dixon_price,
        lambda d: (-10.0, 10.0),
        lambda d: [2 ** -(1 - 2.0 ** (1 - i)) for i in range(1, d + 1)],
    ),
    "griewank": Formula(_griewank, lambda d: (-600.0, 600.0), lambda d: [0.0] * d),
    "powell": Formula(_powell, lambda d: (-4.0, 5.0), lambda d: [0.0] * d, dimensions=4),
    "qing": Formula(
        _qing, lambda d: (-500.0, 500.0), lambda d: [math.sqrt(i) for i in range(1, d + 1)]
    ),
    "salomon": Formula(_salomon, lambda d: (-100.0, 100.0), lambda d: [0.0] * d),
    "stretched_v": Formula(_stretched_v, lambda d: (-10.0, 10.0), lambda d: [0.0] * d),
    "styblinski_tang": Formula(
        _styblinski_tang,
        lambda d: (-5.0, 5.0),
        lambda d: [_STYBLINSKI] * d,
        lambda d: d * _STYBLINSKI_OPTIMUM,
    ),
    "trid": Formula(
        _trid,
        lambda d: (-float(d * d), float(d * d)),
        lambda d: [float(i * (d + 1 - i)) for i in range(1, d + 1)],
        lambda d: -d * (d + 4) * (d - 1) / 6,
    ),
    "whitley": Formula(_whitley, lambda d: (-10.24, 10.24), lambda d: [1.0] * d),
    "zakharov": Formula(_zakharov, lambda d: (-5.0, 10.0), lambda d: [0.0] * d),
}
"""By name."""


class Textbook(BoxFunction):
    """One of the functions, by its name."""

    def __init__(
        self, *, function: str, dimension: int, shift: int | str | None, space: Descriptions
    ) -> None:
        """Look the function up.

        Args:
            function: a key of `FORMULAS`.
            dimension: d >= 2; a multiple of four for powell.
            shift: as in `BoxFunction`.
            space: changed keys of parameters x1, ..., xd.

        Raises:
            ValueError: a setting is out of range.
        """
        known = FORMULAS[expected.one_of("function", function, FORMULAS)]
        d = expected.whole("dimension", dimension, 2)
        if d % known.dimensions:
            raise ValueError(
                f"dimension: expected a multiple of {known.dimensions} for {function}, got {d}"
            )
        self._value = known.value
        super().__init__(
            bounds=[known.bounds(d)] * d,
            optimum=known.optimum(d),
            minimisers=[known.minimiser(d)],
            shift=shift,
            space=space,
        )

    def formula(self, x: Vector) -> float:
        return self._value(x)
