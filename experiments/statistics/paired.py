"""Paired tests, and Holm's correction. The one implementation; the paper uses it too.

- Two optimizers that vary: Wilcoxon's signed-rank test, by the exact distribution of its
  statistic over all sign changes given the sizes of the differences. So ties are no trouble,
  infinite differences (a run without a success) have the highest rank, and nothing is assumed
  about the values but what the null hypothesis says: that the two could be exchanged in a pair.
- One that does not depend on the seed is a constant, not a sample. Against it the sign test asks
  on which side of the constant the other's runs lie. (The signed-rank test would also ask whether
  they are symmetric, which values bounded by an optimum never are.)
- Between two constants there is nothing to test.

The least p that n pairs can give is 2^(1 - n): .0625 for 5, so 5 seeds of one task never tell two
optimizers apart at the level .05, and 30 optimizers' pairs need more; `least_pairs`. A t test
would say more of 5 pairs, and would be wrong where runs end in one of few local optima: then
differences of +-1 with little spread are likely by chance alone (`calibration`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import binomtest, rankdata

from experiments.results import Floats

_SAME = 1e-12  # relative: equal answers may differ in their last digits


@dataclass(frozen=True)
class PairedTest:
    """The test of one pair in one quantity, the lower the better.

    Attributes:
        p: two-sided; None where there is nothing to test.
        sign: -1 where the first is better, 1 where the second is, 0 where neither.
        wins: the probability that the first is better in a pair, ties counted half.
        n: pairs.
        kind: "signed-rank", "sign" (against a constant) or "none".
    """

    p: float | None
    sign: int
    wins: float
    n: int
    kind: str


def paired(first: Floats, second: Floats, fixed: tuple[bool, bool] = (False, False)) -> PairedTest:
    """Test whether pairs of values, (n,) each, could be exchanged.

    Args:
        first: infinite where a run had no success.
        second: likewise, of the same seeds or instances.
        fixed: which of the two does not depend on the seed. One without any spread over at
            least two pairs is taken for such a one.

    Raises:
        ValueError: they are not as many.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"pairs: expected as many values, got {first.shape} and {second.shape}")
    d = differences(first, second)
    n = len(d)
    wins = float((d < 0).mean() + (d == 0).mean() / 2) if n else 0.5
    constant = [held or bool(n > 1 and (x == x[0]).all())
                for held, x in zip(fixed, (first, second), strict=True)]  # fmt: skip
    if n == 0 or all(constant):
        sign = 0 if n == 0 else int(np.sign(d[0]))
        return PairedTest(None, sign, wins, n, "none")
    if any(constant):
        p, sign = sign_test(d)
        return PairedTest(p, sign, wins, n, "sign")
    p, sign = signed_rank(d)
    return PairedTest(p, sign, wins, n, "signed-rank")


def differences(first: Floats, second: Floats) -> Floats:
    """Return first - second; 0 where both are infinite or the same but for rounding."""
    both = ~np.isfinite(first) & ~np.isfinite(second)
    d = np.where(both, 0.0, np.where(both, 0.0, first) - np.where(both, 0.0, second))
    size = np.maximum(np.abs(first), np.abs(second))
    return np.where(np.isfinite(d) & (np.abs(d) <= _SAME * size), 0.0, d)


def signed_rank(d: Floats) -> tuple[float, int]:
    """Return the exact two-sided p of Wilcoxon's signed-rank test, and the sign of its statistic.

    Zeros are left out of the ranks, as Wilcoxon (1945) did; they are ties, and say nothing.
    """
    d = d[d != 0]
    if len(d) == 0:
        return 1.0, 0
    doubled = np.rint(2 * rankdata(np.abs(d))).astype(int)  # midranks are halves
    above, total = int(doubled[d > 0].sum()), int(doubled.sum())
    tail = _tail(tuple(sorted(doubled.tolist())))
    p = min(1.0, 2 * float(tail[max(above, total - above)]))
    return p, int(np.sign(2 * above - total))


@lru_cache(maxsize=256)
def _tail(ranks: tuple[int, ...]) -> Floats:
    """Return P(sum over a random subset of the ranks >= s) for s = 0, ..., their sum."""
    chance = np.zeros(sum(ranks) + 1)
    chance[0] = 1.0
    top = 0
    for rank in ranks:
        moved = np.zeros_like(chance)
        moved[rank : top + rank + 1] = chance[: top + 1]
        top += rank
        chance = (chance + moved) / 2
    return np.cumsum(chance[::-1])[::-1]


def sign_test(d: Floats) -> tuple[float, int]:
    """Return the exact two-sided p of the sign test (ties left out), and the majority's sign."""
    above, below = int((d > 0).sum()), int((d < 0).sum())
    if above + below == 0:
        return 1.0, 0
    p = float(binomtest(above, above + below).pvalue)
    return p, int(np.sign(above - below))


def least_p(n: int) -> float:
    """Return the least p that either test can give for n pairs: 2^(1 - n)."""
    return min(1.0, 2.0 ** (1 - n))


def least_pairs(n_comparisons: int, level: float) -> int:
    """Return how many pairs it takes to tell anything apart among so many comparisons."""
    n = 1
    while least_p(n) * n_comparisons >= level:
        n += 1
    return n


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's (1979) step-down correction, in the order given.

    The k-th least of m is multiplied by m - k + 1; corrected values never fall and are at most 1.
    """
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    raised = np.asarray(p_values, dtype=np.float64)[order] * np.arange(m, 0, -1)
    corrected = np.empty(m)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(p) for p in corrected]
