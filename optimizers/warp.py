"""Transform values to targets that a Gaussian process can model, and back: scale, clip and warp.

Notation: y (n,) values; t = (y - origin) / unit with origin = min y and unit = median y - min y,
clipped at `CAP`, so that one very large value does not hide the differences between the others;
w(t) is a warp; z = (w - mean) / deviation is standardised.

The warps are increasing: w = t, log(t + 1) and log(t + 1/10). A logarithm flattens functions that
are much steeper far from their minimum than near it. The warp is selected by the likelihood of y,
which is that of z times the Jacobian dz/dt (Snelson, Rasmussen & Ghahramani, NeurIPS 2003):

    log p(y) = log p(z) + sum log w'(t) - n log deviation + a constant that all warps share.

Differences are computed before scaling, so a relative spread of 1e-12 is resolved as well as
doubles allow, and values up to the largest double do not overflow.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CAP = 100.0
OFFSETS: tuple[float | None, ...] = (None, 1.0, 0.1)
"""The offsets of the warps log(t + offset); None is the identity."""

_MAX = float(np.finfo(float).max)
_HUGE = 1e300  # for larger values, the difference of two values may overflow
_SHARE = 1e-6  # the unit if all values are equal, as a share of their absolute value

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """The map t = (shrink y - origin) / unit; `shrink` is 1 unless y is huge."""

    origin: float
    unit: float
    shrink: float = 1.0

    @classmethod
    def of(cls, y: Vector) -> "Scale":
        """Return the scale of finite values (n,), n >= 1."""
        shrink = 0.25 if float(np.abs(y).max()) > _HUGE else 1.0
        above = y * shrink - y.min() * shrink
        unit = float(np.median(above))
        if unit == 0.0:  # at least half of the values equal the minimum
            unit = float((above / len(y)).sum())
        origin = float(y.min() * shrink)
        return cls(origin, unit or abs(origin) * _SHARE or 1.0, shrink)

    def relative(self, y: Vector) -> Vector:
        """Return t of values (n,) without clipping."""
        with np.errstate(over="ignore"):
            t: Vector = (y * self.shrink - self.origin) / self.unit
        return np.clip(t, -_MAX, _MAX)

    def natural(self, t: Vector) -> Vector:
        """Return the values (m,) of t (m,); a value that overflows becomes the largest double."""
        with np.errstate(over="ignore"):
            y: Vector = (self.origin + self.unit * t) / self.shrink
        return np.clip(y, -_MAX, _MAX)


@dataclass(frozen=True, slots=True)
class Warp:
    """A warp and the standardisation after it, fitted to t (n,).

    Attributes:
        offset: the offset of log(t + offset), or None for the identity.
        mean, deviation: the mean and standard deviation of w(t).
    """

    offset: float | None
    mean: float
    deviation: float

    @classmethod
    def of(cls, t: Vector, offset: float | None) -> "Warp":
        """Return the warp of t (n,), 0 <= t <= CAP."""
        w = t if offset is None else np.log(t + offset)
        return cls(offset, float(w.mean()), float(w.std()) or 1.0)

    def standardised(self, t: Vector) -> Vector:
        """Return z of t."""
        w = t if self.offset is None else np.log(t + self.offset)
        z: Vector = (w - self.mean) / self.deviation
        return z

    def log_slopes(self, t: Vector) -> Vector:
        """Return log dz/dt at t (n,)."""
        slopes = np.zeros_like(t) if self.offset is None else -np.log(t + self.offset)
        return slopes - math.log(self.deviation)

    def log_jacobian(self, t: Vector) -> float:
        """Return the sum of log dz/dt over t (n,)."""
        slopes = 0.0 if self.offset is None else -float(np.log(t + self.offset).sum())
        return slopes - len(t) * math.log(self.deviation)

    def relative(self, z: Vector) -> Vector:
        """Return t of z."""
        w = self.mean + self.deviation * z
        return w if self.offset is None else np.exp(np.minimum(w, 700.0)) - self.offset
