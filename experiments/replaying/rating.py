"""The rank of recorded proposals according to an optimizer's own acquisition function."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from experiments.replaying.recording import Step, short
from objectives.space import UnitCube
from objectives.trial import Evaluation, Trial
from optimizers.optimizer import Optimizer

_FEW = 2  # the smallest number of evaluations that a model can be fitted to


@runtime_checkable
class Rating(Protocol):
    """An optimizer that can compute its acquisition function at given points."""

    def worth(self, points: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Return the acquisition (n,) of snapped unit points (n, dim); larger is better."""
        ...


def percentiles(
    optimizer: Rating, space: ConfigurationSpace, steps: Sequence[Step], n: int, seed: int
) -> list[tuple[int, float]]:
    """Return the step number and the percentile of each proposal.

    The percentile compares the acquisition of the proposed configuration with that of n random
    configurations, given all steps before it. The first two steps and all steps of the phase
    `sampling` are told to the optimizer but not rated.
    """
    assert isinstance(optimizer, Optimizer)
    cube = UnitCube(space)
    drawn = np.random.default_rng(seed).random((n, cube.dim))
    points = np.array([cube.snap(u) for u in drawn])
    found = []
    for number, step in enumerate(steps):
        if number >= _FEW and step.phase != "sampling" and step.value is not None:
            worth = optimizer.worth(np.vstack([cube.point(step.config), points]))
            below = np.mean(worth[1:] < worth[0]) + np.mean(worth[1:] == worth[0]) / 2
            found.append((number + 1, 100 * float(below)))
        optimizer.tell(Trial(number, step.config), Evaluation(step.value, 0.0))
    return found


def report(ranked: Sequence[tuple[int, float]], steps: Sequence[Step], n: int) -> str:
    """Return one line per proposal, and a summary as the last line."""
    lines = [
        f"{number:4}  percentile {percentile:6.2f}  {short(steps[number - 1].config)}"
        for number, percentile in ranked
    ]
    values = [percentile for _, percentile in ranked]
    if not values:
        return "\n".join([*lines, "percentiles of 0 proposals: nothing to rate"])
    low, middle = min(values), float(np.median(values))
    above = sum(value >= 95 for value in values)
    return "\n".join(
        [
            *lines,
            f"percentiles of {len(values)} proposals among {n} points: median {middle:.1f}, "
            f"lowest {low:.1f}, at or above the 95th {above} of {len(values)}",
        ]
    )
