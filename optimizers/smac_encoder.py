"""A replacement for SMAC's transformation of values if it is not finite or loses differences.

SMAC's forest learns the logarithm of (y - low) / (max - low). Here low is the smallest value minus
1e-10 and minus the distance between the smallest value and the fifth percentile. The logarithm is
infinite if many values equal the smallest one and are so large that subtracting 1e-10 has no
effect, or if max - low overflows. Differences are lost if they are smaller than 1e-10, or if one
value is as large as 1e300. In these cases, the same formula is applied to the values' distances
from the smallest one, as fractions of the range and clipped at 100 times their median.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 1e100  # SMAC's variances overflow if values are larger than this
_RESOLVED = 1e-6  # SMAC's 1e-10 does no harm if the range is larger than this times max(1, |y|)
_CLIFF = 1e12  # differences are lost if the range exceeds the median excess by this factor
_CAP = 100.0  # the excess is clipped at this multiple of its median
_FLOOR = 1e-10  # SMAC's constant that keeps the logarithm finite

Values = NDArray[np.float64]


def finite(encoder: Any) -> Any:
    """Patch an encoder of SMAC so that its values are finite and distinct values stay distinct."""
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
    """Return the logarithms of the values as fractions of the range, after clipping."""
    # Halving large values keeps their differences from overflowing.
    halves = values / 2 if np.abs(values).max() > _LARGEST else values
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
