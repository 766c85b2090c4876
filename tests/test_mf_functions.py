"""The multi-fidelity test functions: published values, BoTorch's functions, and simulated costs."""

import math

import numpy as np
import pytest
import torch
from botorch.test_functions.multi_fidelity import AugmentedBranin, AugmentedHartmann

from objectives.functions.multi_fidelity import (
    MultiFidelityBorehole,
    MultiFidelityBranin,
    MultiFidelityFunction,
    MultiFidelityHartmann6,
)
from objectives.space import UnitCube
from objectives.trial import Trial

BRANIN = MultiFidelityBranin(shift=None, space={})
HARTMANN = MultiFidelityHartmann6(shift=None, space={})
BOREHOLE = MultiFidelityBorehole(space={})
ALL = [BRANIN, HARTMANN, BOREHOLE]


@pytest.mark.parametrize(
    ("function", "theirs"),
    [(BRANIN, AugmentedBranin()), (HARTMANN, AugmentedHartmann())],
    ids=["branin", "hartmann6"],
)
@pytest.mark.parametrize("z", [1 / 27, 1 / 3, 1.0])
def test_the_functions_equal_those_of_botorch(
    function: MultiFidelityFunction, theirs: torch.nn.Module, z: float
) -> None:
    cube = UnitCube(function.space)
    configs = [cube.config(u) for u in np.random.default_rng(0).random((50, cube.dim))]
    ours = [function.evaluate(Trial(0, config, z)).value for config in configs]
    inputs = torch.tensor([[*config.values(), z] for config in configs], dtype=torch.float64)
    assert ours == pytest.approx(theirs(inputs).tolist(), rel=1e-6)


def test_the_borehole_worked_by_hand() -> None:
    # x1 = 0.1, x2 = 100: g = ln 1000 = 6.907755; x3 = 100000, x4 - x6 = 300, x5 = 100, x7 = 1400,
    # x8 = 10000: 2 x7 x3 / (g x1^2 x8) = 2.8e8 / 690.7755 = 405341.5, x3 / x5 = 1000.
    x = np.array([0.1, 100.0, 100000.0, 1050.0, 100.0, 750.0, 1400.0, 10000.0])
    common = 2.8e8 / (math.log(1000) * 100) + 1000
    high = 2 * math.pi * 3e7 / (math.log(1000) * (1 + common))
    low = 5 * 3e7 / (math.log(1000) * (1.5 + common))
    assert BOREHOLE.formula_at(x, 1.0) == pytest.approx(-high)
    assert BOREHOLE.formula_at(x, 1 / 3) == pytest.approx(-high / 3 - 2 * low / 3)


def test_the_borehole_has_its_optimum_at_the_known_corner() -> None:
    # All 256 corners; the flow is monotone in each parameter.
    cube = UnitCube(BOREHOLE.space)
    corners = np.array(np.meshgrid(*[[0.0, 1.0]] * 8)).reshape(8, -1).T
    values = [BOREHOLE.evaluate(Trial(0, cube.config(u))).value for u in corners]
    found = min(value for value in values if value is not None)
    assert found == pytest.approx(BOREHOLE.optimum)
    assert BOREHOLE.optimum == pytest.approx(-309.5756, abs=1e-4)


@pytest.mark.parametrize("function", ALL, ids=["branin", "hartmann6", "borehole"])
def test_the_lowest_fidelity_is_biased_and_costs_as_published(
    function: MultiFidelityFunction,
) -> None:
    (best,) = function.minimisers[:1]
    full = function.evaluate(Trial(0, best))
    assert function.fidelities is not None
    low = function.evaluate(Trial(1, best, function.fidelities.least))
    assert full.value == pytest.approx(function.optimum)
    assert full.value is not None and low.value is not None
    assert low.value > full.value + 1e-4
    assert full.cost == pytest.approx(1.0)
    # 0.05 + 0.95 / 27^2 = 0.0513; (0.1 + 27^-1.5) / 1.1 = 0.0974
    assert low.cost == pytest.approx(0.0974 if function is BOREHOLE else 0.0513, abs=1e-4)
    assert not function.fidelities.resumable
