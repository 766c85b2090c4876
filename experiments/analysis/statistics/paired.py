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

from experiments.analysis.results import Floats

_DIGITS, _LEAST = 12, 1e-290


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
    return paired_rows(first[None, :], second[None, :], [fixed])[0]


def paired_rows(
    first: Floats, second: Floats, fixed: Sequence[tuple[bool, bool]], equal: float = 0.0
) -> list[PairedTest]:
    """Return `paired` of each row, (n_tests, n_pairs); differences up to `equal` are ties."""
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"pairs: expected as many values, got {first.shape} and {second.shape}")
    n = first.shape[1]
    if n == 0:
        return [PairedTest(None, 0, 0.5, 0, "none") for _ in first]
    d = differences(first, second)
    d = np.where(np.abs(d) <= equal, 0.0, d)
    wins = ((d < 0).mean(axis=1) + (d == 0).mean(axis=1) / 2).tolist()
    flat = [((x == x[:, :1]).all(axis=1) & (n > 1)).tolist() for x in (first, second)]
    by_rank = signed_ranks(d)
    found = []
    for i, held in enumerate(fixed):
        constant = held[0] or flat[0][i], held[1] or flat[1][i]
        if all(constant):
            found.append(PairedTest(None, int(np.sign(d[i, 0])), wins[i], n, "none"))
        elif any(constant):
            found.append(PairedTest(*sign_test(d[i]), wins[i], n, "sign"))
        else:
            found.append(PairedTest(*by_rank[i], wins[i], n, "signed-rank"))
    return found


def differences(first: Floats, second: Floats) -> Floats:
    """Return first - second; 0 where both are infinite or the same but for rounding."""
    a, b = rounded(first), rounded(second)
    same = a == b
    return np.where(same, 0.0, np.where(same, 0.0, a) - np.where(same, 0.0, b))


def rounded(values: Floats) -> Floats:
    """Return values to twelve significant digits, for equal answers may differ after them."""
    size = np.abs(values)
    plain = np.isfinite(values) & (size > _LEAST)
    digits = np.ceil(np.log10(np.where(plain, size, 1.0)))
    unit = 10.0 ** (digits - _DIGITS)
    return np.where(plain, np.rint(values / unit) * unit, np.where(size <= _LEAST, 0.0, values))


def signed_rank(d: Floats) -> tuple[float, int]:
    """Return the exact two-sided p of Wilcoxon's signed-rank test, and the sign of its statistic.

    Zeros are left out of the ranks, as Wilcoxon (1945) did; they are ties, and say nothing.
    """
    return signed_ranks(d[None, :])[0]


def signed_ranks(d: Floats) -> list[tuple[float, int]]:
    """Return `signed_rank` of each row of differences, (n_tests, n_pairs)."""
    n_zero = (d == 0).sum(axis=1, keepdims=True)
    # Zeros have the lowest ranks, so the others' are theirs among themselves plus n_zero.
    doubled = 2 * (rankdata(np.abs(d), axis=1) - n_zero)  # midranks are halves
    ranks = np.where(d == 0, 0, np.rint(doubled)).astype(np.int64)
    above, total = np.where(d > 0, ranks, 0).sum(axis=1), ranks.sum(axis=1)
    found = []
    for row, a, t in zip(np.sort(ranks, axis=1), above.tolist(), total.tolist(), strict=True):
        p = min(1.0, 2 * float(_tail(row.tobytes())[max(a, t - a)])) if t else 1.0
        found.append((p, (2 * a > t) - (2 * a < t)))
    return found


@lru_cache(maxsize=256)
def _tail(ranks: bytes) -> Floats:
    """Return P(sum over a random subset of the ranks >= s) for s = 0, ..., their sum.

    Args:
        ranks: of int64; one of 0 changes nothing.
    """
    each = np.frombuffer(ranks, dtype=np.int64).tolist()
    chance = np.zeros(sum(each) + 1)
    chance[0] = 1.0
    top = 0
    for rank in each:
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
