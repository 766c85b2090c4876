"""Branin and Currin: two goals on the unit square, a test problem whose front is known.

S. Belakaria, A. Deshwal and J. R. Doppa, *Max-value Entropy Search for Multi-Objective Bayesian
Optimization*, NeurIPS 2019; definition and reference point are BoTorch's. Both goals are minimised.
"""

import math
from pathlib import Path

import numpy as np

from objectives.functions.box import Vector
from objectives.functions.pareto import ParetoFunction
from objectives.override import Descriptions
from objectives.wanted import Bounds, Names

_FRONT_FILE = Path(__file__).with_name("branin_currin_front.csv")


class BraninCurrin(ParetoFunction):
    """Branin's function, scaled to the unit square, and Currin's.

    The front has no closed form: `branin_currin_front.csv` has 200 of the non-dominated points of a
    grid of 2,001 x 2,001 points, which was refined three times around the front.
    """

    def __init__(self, *, goals: Names, limits: Bounds, space: Descriptions) -> None:
        super().__init__(dim=2, references=(18.0, 6.0), goals=goals, limits=limits, space=space)

    def formula(self, x: Vector) -> Vector:
        return branin_currin(x)

    def points(self) -> Vector:
        return np.loadtxt(_FRONT_FILE, delimiter=",", skiprows=1)

    def most(self) -> float:
        return 59.4061  # from a finer front; BoTorch's value, by NSGA-II, is 59.3601


def branin_currin(x: Vector) -> Vector:
    """Return Branin's and Currin's functions (2, ...) at points (2, ...) of the unit square."""
    x1, x2 = 15 * x[0] - 5, 15 * x[1]
    valley = x2 - 5.1 / (4 * math.pi**2) * x1**2 + 5 / math.pi * x1 - 6
    branin = valley**2 + 10 * (1 - 1 / (8 * math.pi)) * np.cos(x1) + 10
    with np.errstate(divide="ignore"):  # at x2 = 0 the exponential is 0
        decay = 1 - np.exp(-1 / (2 * x[1]))
    above = 2300 * x[0] ** 3 + 1900 * x[0] ** 2 + 2092 * x[0] + 60
    below = 100 * x[0] ** 3 + 500 * x[0] ** 2 + 4 * x[0] + 20
    return np.array([branin, decay * above / below])
