"""Seven standard test functions: data (bounds, optimum, minimisers) and one formula each.

Formulas and constants as in S. Surjanovic and D. Bingham, Virtual Library of Simulation
Experiments, https://www.sfu.ca/~ssurjano/optimization.html. Optima and minimisers that have no
closed form are stated in double precision, by iterating the stationarity condition (the
minimiser is a weighted mean of the functions' centres) until it stood still.

All are bounded by their optimum on the whole of R^d, as the shift of `box.py` needs:
Branin's square vanishes along a parabola, and s (1 - t) cos x1 + s is least at odd multiples
of pi; Hartmann's and Shekel's stationary points lie in the hull of their centres; the others
are sums of squares, or Ackley's distance, which vanish at one point only.
"""

import math
from typing import ClassVar

import numpy as np

from objectives import expected
from objectives.functions.box import BoxFunction, Vector
from objectives.override import Descriptions


class Branin(BoxFunction):
    """(x2 - b x1^2 + c x1 - r)^2 + s (1 - t) cos x1 + s on [-5, 10] x [0, 15].

    b = 5.1 / (4 pi^2), c = 5 / pi, r = 6, s = 10, t = 1 / (8 pi).
    """

    def __init__(self, *, shift: int | str | None, space: Descriptions) -> None:
        # At x1 = +-pi and 3 pi: cos = -1 leaves s t = 10 / (8 pi), and x2 = b x1^2 - c x1 + r.
        super().__init__(
            bounds=[(-5.0, 10.0), (0.0, 15.0)],
            optimum=10 / (8 * math.pi),
            minimisers=[(-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475)],
            shift=shift,
            space=space,
        )

    def formula(self, x: Vector) -> float:
        x1, x2 = x.tolist()
        valley = x2 - 5.1 / (4 * math.pi**2) * x1**2 + 5 / math.pi * x1 - 6
        wave: float = 10 * (1 - 1 / (8 * math.pi)) * math.cos(x1) + 10
        return float(valley**2 + wave)


class Rosenbrock(BoxFunction):
    """Sum over i < d of 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2 on [-5, 10]^d, d >= 2."""

    def __init__(self, *, dimension: int, shift: int | str | None, space: Descriptions) -> None:
        d = expected.whole("dimension", dimension, 2)
        super().__init__(
            bounds=[(-5.0, 10.0)] * d, optimum=0.0, minimisers=[[1.0] * d], shift=shift, space=space
        )

    def formula(self, x: Vector) -> float:
        return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


class Ackley(BoxFunction):
    """-20 exp(-0.2 |x| / sqrt d) - exp(mean of cos 2 pi x_i) + 20 + e on [-32.768, 32.768]^d."""

    def __init__(self, *, dimension: int, shift: int | str | None, space: Descriptions) -> None:
        d = expected.whole("dimension", dimension, 1)
        super().__init__(
            bounds=[(-32.768, 32.768)] * d,
            optimum=0.0,
            minimisers=[[0.0] * d],
            shift=shift,
            space=space,
        )

    def formula(self, x: Vector) -> float:
        # 20 (1 - e^-a) + e (1 - e^(c - 1)): exactly 0 at the minimiser, never below.
        a = 0.2 * math.sqrt(float(np.mean(x**2)))
        c = float(np.mean(np.cos(2 * math.pi * x)))
        return -20 * math.expm1(-a) - math.e * math.expm1(c - 1)


class Levy(BoxFunction):
    """The function of Laguna and Marti (2005) on [-10, 10]^d, with w_i = 1 + (x_i - 1) / 4.

    sin^2(pi w_1) + sum over i < d of (w_i - 1)^2 (1 + 10 sin^2(pi w_i + 1))
    + (w_d - 1)^2 (1 + sin^2(2 pi w_d)).
    """

    def __init__(self, *, dimension: int, shift: int | str | None, space: Descriptions) -> None:
        d = expected.whole("dimension", dimension, 1)
        super().__init__(
            bounds=[(-10.0, 10.0)] * d,
            optimum=0.0,
            minimisers=[[1.0] * d],
            shift=shift,
            space=space,
        )

    def formula(self, x: Vector) -> float:
        w = 1 + (x - 1) / 4
        inner = (w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)
        last = (w[-1] - 1) ** 2 * (1 + np.sin(2 * math.pi * w[-1]) ** 2)
        # sin^2(pi w) = sin^2(pi (w - 1)), which is exactly 0 at w = 1.
        return float(np.sin(math.pi * (w[0] - 1)) ** 2 + np.sum(inner) + last)


class _Hartmann(BoxFunction):
    """-sum over i of alpha_i exp(-sum over j of A_ij (x_j - P_ij)^2) on [0, 1]^d."""

    ALPHA: ClassVar[Vector] = np.array([1.0, 1.2, 3.0, 3.2])
    A: ClassVar[Vector]  # (4, d)
    P: ClassVar[Vector]  # (4, d)
    OPTIMUM: ClassVar[float]
    MINIMISER: ClassVar[tuple[float, ...]]

    def __init__(self, *, shift: int | str | None, space: Descriptions) -> None:
        super().__init__(
            bounds=[(0.0, 1.0)] * len(self.MINIMISER),
            optimum=self.OPTIMUM,
            minimisers=[self.MINIMISER],
            shift=shift,
            space=space,
        )

    def formula(self, x: Vector) -> float:
        return -float(self.ALPHA @ np.exp(-np.sum(self.A * (x - self.P) ** 2, axis=1)))


class Hartmann3(_Hartmann):
    """Hartmann's function in three dimensions; four local minimisers."""

    A = np.array([[3.0, 10, 30], [0.1, 10, 35], [3.0, 10, 30], [0.1, 10, 35]])
    P = 1e-4 * np.array(
        [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
    )
    OPTIMUM = -3.862779787332663
    MINIMISER = (0.11458887665506899, 0.5556488946169301, 0.8525469846866776)


class Hartmann6(_Hartmann):
    """Hartmann's function in six dimensions; six local minimisers."""

    A = np.array(
        [
            [10, 3, 17, 3.5, 1.7, 8],
            [0.05, 10, 17, 0.1, 8, 14],
            [3, 3.5, 1.7, 10, 17, 8],
            [17, 8, 0.05, 10, 0.1, 14],
        ]
    )
    P = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    OPTIMUM = -3.3223680114155147
    MINIMISER = (
        0.20168951100670543,
        0.15001069182345797,
        0.4768739742218971,
        0.27533243049405604,
        0.31165161660011326,
        0.6573005340656203,
    )


class Shekel(BoxFunction):
    """-sum over 10 centres i of 1 / (|x - C_i|^2 + beta_i) on [0, 10]^4; ten local minimisers."""

    BETA: ClassVar[Vector] = np.array([1, 2, 2, 4, 4, 6, 3, 7, 5, 5]) / 10
    CENTRES: ClassVar[Vector] = np.array(  # (10, 4)
        [[4, 1, 8, 6, 3, 2, 5, 8, 6, 7], [4, 1, 8, 6, 7, 9, 3, 1, 2, 3.6]] * 2
    ).T

    def __init__(self, *, shift: int | str | None, space: Descriptions) -> None:
        super().__init__(
            bounds=[(0.0, 10.0)] * 4,
            optimum=-10.536443153483528,
            minimisers=[[4.000746868270634, 3.9995094800857736] * 2],
            shift=shift,
            space=space,
        )

    def formula(self, x: Vector) -> float:
        squares = np.sum((x - self.CENTRES) ** 2, axis=1)  # (10,)
        return -float(np.sum(1 / (squares + self.BETA)))
