"""Rungs and brackets of the multi-fidelity optimizers, in integers.

Notation of Li et al., "Hyperband", JMLR 18 (2018), Algorithm 1:

    R     a full evaluation, here the share 1
    eta   one configuration in eta is promoted from a rung to the next
    s     number of a bracket: how many halvings it has, from s_max down to 0
    n, r  configurations that a bracket starts with, and their share

The algorithm's s_max = floor(log_eta(R)) is counted by multiplication: `int(log(243) / log(3))` is
4 in floating point, which loses a bracket.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from objectives.trial import Fidelities

_CLOSE = 1e-6  # relative; a share such as 1/9 is not exact


def ladder(fidelities: Fidelities | None, eta: int, least: float | None) -> tuple[float, ...]:
    """Return the shares 1/eta^s, ..., 1/eta, 1 that an objective offers, ascending.

    Args:
        fidelities: of the objective.
        eta: ratio of two rungs.
        least: the smallest share wanted; None: the objective's.

    Raises:
        ValueError: the objective has no fidelities, or none of its shares is such a power.
    """
    if isinstance(eta, bool) or not isinstance(eta, int) or eta < 2:
        raise ValueError(f"optimizer.eta: expected a whole number of at least 2, got {eta!r}")
    if fidelities is None:
        raise ValueError(
            "objective: expected one that offers fidelities, got one with full evaluations only; "
            "a multi-fidelity optimizer has nothing to save there"
        )
    if least is not None and (
        isinstance(least, bool) or not isinstance(least, int | float) or not 0 < least <= 1
    ):
        raise ValueError(f"optimizer.least: expected a share in (0, 1], got {least!r}")
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
            f"optimizer.eta: expected a ratio of the objective's shares {list(fidelities.grid)} "
            f"that leaves at least two, got {eta} with a least share of {lowest:g}"
        )
    return tuple(reversed(rungs))


@dataclass(frozen=True)
class Size:
    """One rung of a bracket: how many configurations, at which share."""

    n: int
    share: float


def bracket(rungs: Sequence[float], eta: int, s: int, printed: bool = False) -> list[Size]:
    """Return the rungs of Hyperband's bracket with s halvings (Algorithm 1, lines 3 to 6).

    Args:
        rungs: shares, ascending; there are s_max + 1 of them.
        eta: one in eta is promoted.
        s: from s_max to 0.
        printed: the sizes of the paper's Table 1, which rounds down where Algorithm 1 rounds up.
    """
    s_max = len(rungs) - 1
    if printed:
        n = (s_max + 1) // (s + 1) * eta**s
    else:
        n = -(-(s_max + 1) * eta**s // (s + 1))  # line 3: ceil((s_max + 1) eta^s / (s + 1))
    return [Size(n // eta**i, rungs[s_max - s + i]) for i in range(s + 1)]  # lines 5 and 6


def brackets(rungs: Sequence[float], eta: int, printed: bool = False) -> list[list[Size]]:
    """Return one round of Hyperband: its brackets from the most halvings to none."""
    return [bracket(rungs, eta, s, printed) for s in reversed(range(len(rungs)))]
