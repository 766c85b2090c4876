"""The numbers of every pair of optimizers: p-values behind a verdict, and effect sizes.

There is one row per pair, across all tasks (`task` is empty) or within the named task:
- `p`: the verdict's Holm-corrected p-value, and `better`, the better optimizer if the two are
  distinguishable;
- `improvement`: the probability that a run of the first ends better than a run of the second, with
  its bootstrap 95 % interval (`improvement.py`);
- `first_better`, `equivalent`, `second_better`: the probabilities of the Bayesian signed-rank test
  (`bayesian.py`) with a region of equivalence of `ROPE` in normalised regret, which is capped at 1;
  empty where there are too few numbers.

The last two are not corrected for the number of pairs: they describe the size of a difference and
are not claims of significance.
"""

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from io import StringIO

from experiments.analysis.spreadsheet import cell
from experiments.analysis.statistics import bayesian
from experiments.analysis.statistics.anytime import Suite
from experiments.analysis.statistics.comparisons import Comparison
from experiments.analysis.statistics.improvement import improvement
from experiments.analysis.statistics.verdict import Verdict


@dataclass(frozen=True)
class Pair:
    """The numbers of one comparison; None if a number cannot be computed."""

    task: str
    first: str
    second: str
    n: int
    p: float | None
    better: str | None
    improvement: float | None
    improvement_low: float | None
    improvement_high: float | None
    first_better: float | None
    equivalent: float | None
    second_better: float | None


def pairs(suite: Suite, found: Verdict) -> Iterator[Pair]:
    """Yield the numbers of each pair in a verdict on the suite."""
    for one in found.across or found.within:
        yield _pair(suite, one, found.equal)


def _pair(suite: Suite, one: Comparison, equal: float) -> Pair:
    share = improvement(suite, one.first, one.second, equal=equal)
    if one.task is None:
        posterior = bayesian.over_tasks(suite, one.first, one.second)
    else:
        posterior = bayesian.within_task(suite.tasks[0], one.first, one.second)
    return Pair(
        task=one.task or "",
        first=one.first,
        second=one.second,
        n=one.test.n,
        p=one.corrected,
        better=one.better,
        improvement=None if share is None else share.probability,
        improvement_low=None if share is None else share.low,
        improvement_high=None if share is None else share.high,
        first_better=None if posterior is None else posterior.first_better,
        equivalent=None if posterior is None else posterior.equivalent,
        second_better=None if posterior is None else posterior.second_better,
    )


def as_csv(rows: Iterator[Pair]) -> str:
    """Return the pairs as CSV with a header line, to four significant digits."""
    text = StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Pair)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: f"{value:.4g}" if isinstance(value, float) else cell(value)
                for name, value in asdict(row).items()
                if value == value  # NaN: one run each gives no interval
            }
        )
    return text.getvalue()
