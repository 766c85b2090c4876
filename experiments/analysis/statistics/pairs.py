"""Every pair of optimizers in numbers: what stands behind a verdict, and how much it is.

One row for each pair, across all tasks (`task` is empty), or within the task where there is one:
- `p`: Holm's, as the verdict has it, and `better`, the better of two that are distinguishable;
- `improvement`: the probability that a run of the first ends better than one of the second, with
  its bootstrapped 95 % interval (`improvement.py`);
- `first_better`, `equivalent`, `second_better`: the Bayesian signed-rank test's (`bayesian.py`),
  within `ROPE` of normalised regret, which is capped at 1; empty where there are too few numbers.

The last two are not corrected for the number of pairs: they say how large a difference is, and
make no claim.
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
    """A comparison; None where a number cannot be computed."""

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
    """Yield the pairs of a verdict on the suite."""
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
    """Return CSV with a line of names; four significant digits."""
    text = StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Pair)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: f"{value:.4g}" if isinstance(value, float) else cell(value)
                for name, value in asdict(row).items()
                if value == value  # an interval of one run each is none
            }
        )
    return text.getvalue()
