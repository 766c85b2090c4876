"""The values that SMAC's forest learns from, where SMAC's own transformation has none.

SMAC learns the logarithm of (y - low) / (max - low), with low a little below the least value. That
is infinite where many values share the least one and are so large that 1e-10 vanishes beside them,
and where max - low overflows. And one value of 1e300 leaves no difference among all others; nor
does a range of 1e-10 or less.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CAP = 1e12  # of a value's excess over the least one, in units of the median's
_FINE = 1e-7  # of a range: smaller ones are lost beside the 1e-10 that SMAC adds
_FLOOR = 1e-10  # of a value's share of the range

Values = NDArray[np.float64]


def finite(encoder: Any) -> Any:
    """Let one of SMAC's encoders give finite values whatever finite ones it is told."""
    original: Callable[[Values], Values] = encoder.transform_response_values

    def transform_response_values(values: Values) -> Any:
        if not values.size:
            return original(values)
        halves = values / 2  # a difference of two cannot overflow
        least = halves.min()
        excess = np.median(halves) - least
        width = halves.max() - least
        if (width / _CAP <= excess or excess == 0) and not 0 < width < _FINE:
            transformed = original(values)
            if np.all(np.isfinite(transformed)):
                return transformed
        shares = halves - least
        if excess > 0:
            shares = np.minimum(shares / _CAP, excess)
        return np.log(shares / max(float(shares.max()), np.finfo(float).tiny) + _FLOOR)

    encoder.transform_response_values = transform_response_values
    return encoder
