"""Rungs and brackets of the multi-fidelity optimizers, in integers.

Notation of Li et al., "Hyperband", JMLR 18 (2018), Algorithm 1:

    R     a full evaluation, here fidelity 1
    eta   one configuration in eta is promoted from a rung to the next
    s     the number of halvings of a bracket, from s_max down to 0
    n, r  the number of configurations at the start of a bracket, and their fidelity

The algorithm's s_max = floor(log_eta(R)) is computed by repeated multiplication, because
`int(log(243) / log(3))` is 4 in floating point, which would lose a bracket.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from objectives import expected
from objectives.trial import Fidelities

_CLOSE = 1e-6  # relative tolerance, because a fidelity such as 1/9 is not exact


def ladder(fidelities: Fidelities | None, eta: int, least: float | None) -> tuple[float, ...]:
    """Return the fidelities 1/eta^s, ..., 1/eta, 1 that an objective offers, ascending.

    Args:
        fidelities: the fidelities of the objective.
        eta: the ratio of two successive rungs.
        least: the lowest fidelity to use; None means the objective's lowest.

    Raises:
        ValueError: a setting is invalid, the objective has no fidelities, or only fidelity 1 is
            such a power.
    """
    expected.whole("optimizer.eta", eta, 2)
    expected.null_or(expected.number, "optimizer.least", least, above=0, most=1)
    if fidelities is None:
        raise ValueError(
            "objective: expected one that offers fidelities, got one with full evaluations only; "
            "a multi-fidelity optimizer needs several fidelities"
        )
    lowest = fidelities.least if least is None else max(least, fidelities.least)
    rungs = [1.0]
    power = eta
    while 1 / power >= lowest * (1 - _CLOSE):
        near = min(fidelities.grid, key=lambda share: abs(share * power - 1))
        if abs(near * power - 1) > _CLOSE:
            break
        rungs.append(near)
        power *= eta
    if len(rungs) == 1:
        raise ValueError(
            f"optimizer.eta: expected a ratio that gives at least two of the objective's "
            f"fidelities {list(fidelities.grid)}, got {eta} with a lowest fidelity of {lowest:g}"
        )
    return tuple(reversed(rungs))


@dataclass(frozen=True)
class Size:
    """One rung of a bracket: the number of its configurations, and their fidelity."""

    n: int
    share: float


def bracket(rungs: Sequence[float], eta: int, s: int, printed: bool = False) -> list[Size]:
    """Return the rungs of Hyperband's bracket with s halvings (Algorithm 1, lines 3 to 6).

    Args:
        rungs: the s_max + 1 fidelities, ascending.
        eta: one configuration in eta is promoted.
        s: the number of halvings, from s_max to 0.
        printed: whether to use the sizes of the paper's Table 1, which rounds down, whereas
            Algorithm 1 rounds up.
    """
    s_max = len(rungs) - 1
    if printed:
        n = (s_max + 1) // (s + 1) * eta**s
    else:
        n = -(-(s_max + 1) * eta**s // (s + 1))  # line 3: ceil((s_max + 1) eta^s / (s + 1))
    return [Size(n // eta**i, rungs[s_max - s + i]) for i in range(s + 1)]  # lines 5 and 6


def brackets(rungs: Sequence[float], eta: int, printed: bool = False) -> list[list[Size]]:
    """Return the brackets of one round of Hyperband, from the most halvings to none."""
    return [bracket(rungs, eta, s, printed) for s in reversed(range(len(rungs)))]
