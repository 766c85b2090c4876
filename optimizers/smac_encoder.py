"""The values that SMAC's forest learns from, where SMAC's own transformation sees none or nothing.

SMAC learns the logarithm of (y - low) / (max - low), with low a little below the least value: by
the excess of the fifth percentile over it, and 1e-10. That is infinite where many values share the
least one and are so large that 1e-10 vanishes beside them, and where max - low overflows. It sees
no difference where the values differ by less than 1e-10, nor beside one value of 1e300. There the
same formula is used of shares of the range, cut at 100 times the median excess.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 1e100  # of a value's size: beyond, SMAC's variances overflow
_RESOLVED = 1e-6  # of the values' size, or of 1: a range that 1e-10 does not spoil
_CLIFF = 1e12  # of the median excess: a range beside which all else is one value
_CAP = 100.0  # of the median excess
_FLOOR = 1e-10  # SMAC's constant that keeps a logarithm finite

Values = NDArray[np.float64]


def finite(encoder: Any) -> Any:
    """Let one of SMAC's encoders give finite values that differ where those told do."""
    original: Callable[[Values], Values] = encoder.transform_response_values

    def transform_response_values(values: Values) -> Any:
        if not values.size or _is_ordinary(values):
            transformed = original(values)
            if np.all(np.isfinite(transformed)):
                return transformed
        return _scaled(values)

    encoder.transform_response_values = transform_response_values
    return encoder


def _is_ordinary(values: Values) -> bool:
    """Return whether SMAC's own transformation resolves the values' range."""
    low, high = float(values.min()), float(values.max())
    size = max(abs(low), abs(high))
    if size >= _LARGEST:
        return False
    median = float(np.median(values))
    cliff = median > low and high - low > _CLIFF * (median - low)
    return high == low or (high - low > _RESOLVED * max(size, 1.0) and not cliff)


def _scaled(values: Values) -> Values:
    """Return the logarithms of shares of the range, which is cut far above the median."""
    halves = values / 2 if np.abs(values).max() > _LARGEST else values  # no difference overflows
    shares = halves - halves.min()
    positive = shares[shares > 0]
    if not positive.size:
        return np.zeros_like(values)
    shares = shares / shares.max()
    cap = _CAP * float(np.median(shares[shares > 0]))
    shares = np.minimum(shares / cap, 1.0)
    below = np.percentile(shares, 5) + _FLOOR
    logarithms: Values = np.log((shares + below) / (1 + below))
    return logarithms
