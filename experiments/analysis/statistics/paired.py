"""Paired tests and Holm's correction. This is the only implementation; the paper uses it too.

- Two optimizers that vary with the seed: Wilcoxon's signed-rank test, by the exact distribution of
  its statistic (`signed_rank`). Ties are handled exactly, and infinite differences (a run without a
  success) have the highest rank. Nothing is assumed about the values except the null hypothesis
  that the two values of a pair are exchangeable.
- An optimizer whose runs are the same trajectory for every seed is a constant, not a sample. The
  other optimizer is compared with it by the sign test: on which side of the constant do its runs
  lie? (The signed-rank test would also require them to be symmetric about their median, which
  values bounded by an optimum are not.) The caller says which optimizers are constant; runs that
  merely end at the same value are a sample.
- Between two constants there is nothing to test.

The smallest p-value that n pairs can give is 2^(1 - n): 0.0625 for 5. Therefore, 5 seeds of one
task never distinguish two optimizers at the 0.05 level, and more comparisons need more pairs
(`least_pairs`). A t test would be significant more often with 5 pairs, but invalid if runs end in
one of a few local optima: then differences of about +-1 with little spread are likely by chance
alone (`calibration`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from experiments.analysis.results import Floats
from experiments.analysis.statistics.signed_rank import signed_ranks

_DIGITS, _LEAST = 12, 1e-290


@dataclass(frozen=True)
class PairedTest:
    """The test of one pair of optimizers in one quantity; lower is better.

    Attributes:
        p: the two-sided p-value; None if there is nothing to test.
        sign: -1 if the first is better, 1 if the second is, 0 if neither.
        wins: the share of pairs in which the first is better, with ties counted as half.
        n: the number of pairs.
        kind: "signed-rank", "sign" (against a constant) or "none".
    """

    p: float | None
    sign: int
    wins: float
    n: int
    kind: str


def paired(first: Floats, second: Floats, fixed: tuple[bool, bool] = (False, False)) -> PairedTest:
    """Test whether the two values of each pair are exchangeable.

    Args:
        first: the values of one optimizer, (n,); infinite for a run without a success.
        second: the values of the other for the same seeds or instances, (n,).
        fixed: whether each of the two has the same trajectory for every seed.

    Raises:
        ValueError: their shapes differ.
    """
    return paired_rows(first[None, :], second[None, :], [fixed])[0]


def paired_rows(
    first: Floats, second: Floats, fixed: Sequence[tuple[bool, bool]], equal: float = 0.0
) -> list[PairedTest]:
    """Return `paired` of each row, (n_tests, n_pairs); differences up to `equal` are ties."""
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"pairs: expected equal shapes, got {first.shape} and {second.shape}")
    n = first.shape[1]
    if n == 0:
        return [PairedTest(None, 0, 0.5, 0, "none") for _ in first]
    d = differences(first, second, equal)
    margin = np.sign(d).astype(np.int64).sum(axis=1).tolist()
    by_rank = signed_ranks(d)
    found = []
    for i, constant in enumerate(fixed):
        wins = (n - margin[i]) / (2 * n)
        if all(constant):
            found.append(PairedTest(None, _sign(margin[i]), wins, n, "none"))
        elif any(constant):
            found.append(PairedTest(*sign_test(d[i]), wins, n, "sign"))
        else:
            found.append(PairedTest(*by_rank[i], wins, n, "signed-rank"))
    return found


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def differences(first: Floats, second: Floats, equal: float = 0.0) -> Floats:
    """Return first - second, rounded to twelve significant digits of the larger of the two.

    The difference is 0 if both are infinite, if they are equal up to rounding, or if they differ
    by at most `equal`.
    """
    alike = np.isinf(first) & (first == second)
    a, b = (np.where(alike, 0.0, side) for side in (first, second))
    size = np.maximum(np.abs(a), np.abs(b))
    plain = np.isfinite(size) & (size > _LEAST)
    unit = 10.0 ** (np.ceil(np.log10(np.where(plain, size, 1.0))) - _DIGITS)
    d = np.where(size > _LEAST, a - b, 0.0)
    d = np.where(plain, np.rint(np.where(plain, d, 0.0) / unit) * unit, d)
    return np.where(np.abs(d) <= equal * (1 + 1e-9), 0.0, d)


def outcomes(first: Floats, second: Floats, equal: float = 0.0) -> NDArray[np.int64]:
    """Return 1 where first is lower, -1 where second is lower, and 0 for ties."""
    a, b = np.broadcast_arrays(first, second)
    return -np.sign(differences(a, b, equal)).astype(np.int64)


def rounded(values: Floats) -> Floats:
    """Return values rounded to twelve significant digits, beyond which equal answers may differ."""
    size = np.abs(values)
    plain = np.isfinite(values) & (size > _LEAST)
    digits = np.ceil(np.log10(np.where(plain, size, 1.0)))
    unit = 10.0 ** (digits - _DIGITS)
    return np.where(
        plain, np.rint(np.where(plain, values, 0.0) / unit) * unit,
        np.where(size <= _LEAST, 0.0, values),
    )  # fmt: skip


def sign_test(d: Floats) -> tuple[float, int]:
    """Return the exact two-sided p-value of the sign test without ties, and the majority's sign."""
    above, below = int((d > 0).sum()), int((d < 0).sum())
    if above + below == 0:
        return 1.0, 0
    p = float(binomtest(above, above + below).pvalue)
    return p, _sign(above - below)


def least_p(n: int) -> float:
    """Return the least p-value that either test can give for n pairs: 2^(1 - n)."""
    return min(1.0, 2.0 ** (1 - n))


def least_pairs(n_comparisons: int, level: float) -> int:
    """Return the number of pairs needed for any significance among this many comparisons."""
    n = 1
    while least_p(n) * n_comparisons >= level:
        n += 1
    return n


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's (1979) step-down correction, in the order given.

    The k-th smallest of m is multiplied by m - k + 1; corrected values are then made non-decreasing
    in k and capped at 1.
    """
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    raised = np.asarray(p_values, dtype=np.float64)[order] * np.arange(m, 0, -1)
    corrected = np.empty(m)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(p) for p in corrected]
