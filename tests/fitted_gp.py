"""Gaussian processes that are fitted to a bowl, for their tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectives.space import UnitCube, build_space
from optimizers.gaussian_process import GaussianProcess

UNIT = {"type": "float", "lower": 0, "upper": 1}


def cube_of(**parameters: dict[str, Any]) -> UnitCube:
    return UnitCube(build_space(parameters))


def floats(dim: int) -> UnitCube:
    return cube_of(**{f"x{axis}": UNIT for axis in range(dim)})


def bowl(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(5 + np.sum((u - 0.3) ** 2, axis=1))


def fitted(dim: int = 3, n: int = 25) -> tuple[GaussianProcess, NDArray[np.float64]]:
    u = np.random.default_rng(1).random((n, dim))
    gp = GaussianProcess(floats(dim))
    gp.fit(u, bowl(u), refit=True)
    return gp, u
