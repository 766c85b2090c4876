"""Allowed combinations of values: which configurations agree with one, and which one is nearest."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from objectives.trial import Config, Value


class Combinations:
    """A list of combinations, each with the values of some parameters.

    Args:
        listed: at least one combination.
    """

    def __init__(self, listed: Sequence[Config]) -> None:
        self.listed = [dict(one) for one in listed]
        self._by_names: dict[tuple[str, ...], set[tuple[Value, ...]]] = {}
        for one in self.listed:
            self._by_names.setdefault(tuple(one), set()).add(tuple(one.values()))

    @property
    def names(self) -> set[str]:
        """The parameters that some combination names."""
        return {name for names in self._by_names for name in names}

    def hold(self, config: Config) -> bool:
        """Return whether a configuration agrees with a combination."""
        return any(
            all(name in config for name in names) and tuple(config[name] for name in names) in held
            for names, held in self._by_names.items()
        )


def nearest(rows: NDArray[np.float64], point: NDArray[np.float64]) -> int:
    """Return the index of the row that is nearest to a point (dim,) of the unit cube.

    Args:
        rows: the places of the combinations, (n, dim); NaN where a combination leaves an axis
            free, which then does not count.
        point: the point.
    """
    return int(np.nansum((rows - point) ** 2, axis=1).argmin())
