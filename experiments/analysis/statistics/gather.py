"""From folders of results to a suite: the runs, those that are missing, and known optima."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.analysis.results import Run, load
from experiments.analysis.statistics.anytime import Quantity, Suite, compare_on
from experiments.analysis.statistics.plans import missing
from experiments.analysis.statistics.remade import known_optima, made_again

_EARLIER = {"hellaswag_acc": "max", "heldout_loss": "min"}
"""Of the metrics that values stand for in logs of format 1, which declare no goals."""


def gather(
    paths: Sequence[Path],
    metric: str | None = None,
    direction: str | None = None,
    optima: bool = True,
) -> Suite:
    """Read folders and packed files, and put their runs on common budgets.

    Where a folder holds the plan of a sweep, at any depth, its runs that failed as a whole count
    as runs without a success, and those not made yet are said.

    Args:
        paths: as for `experiments.analysis.results.load`.
        metric: to compare at the incumbents instead of the value.
        direction: min or max; needed where the objective declares none of the metric.
        optima: whether known optima are wanted, for regrets; tests and ranks need none.

    Raises:
        ValueError: what is wrong with the folders, or with the metric.
        OSError: a file cannot be read.
    """
    runs = load(paths)
    quantity = quantity_of(runs, metric, direction)
    wanted = optima and quantity.metric is None
    unsaid = [run for run in runs if "optimum" not in run.header]
    known = known_optima(runs, made_again(unsaid)) if wanted else {}
    suite = compare_on(runs, quantity, known, missing(paths, runs))
    suite.notes.extend([*_cut_off(paths), *_spread_notes(runs)])
    return suite


def quantity_of(runs: Sequence[Run], metric: str | None, direction: str | None) -> Quantity:
    """Return what is compared, checking that all runs have it.

    The direction is the one that the objective declares in the header of its runs.

    Raises:
        ValueError: no run has the metric, or its direction is not known.
    """
    if direction not in (None, "min", "max"):
        raise ValueError(f"direction: expected min or max, got {direction}")
    if metric in (None, "value"):
        if direction is not None:
            raise ValueError("direction: expected none, for the value is minimised, got one")
        return Quantity()
    assert metric is not None
    known = {name for run in runs for name in (*run.metrics, *_tested(run))}
    if metric not in known:
        raise ValueError(
            f"metric: expected one of {', '.join(['value', *sorted(known)])}, got {metric}"
        )
    declared = {wanted for run in runs if (wanted := declared_direction(run, metric)) is not None}
    if len(declared) > 1:
        raise ValueError(
            f"metric: expected one direction of {metric} in all runs, got min and max; compare "
            f"them apart"
        )
    wanted = next(iter(declared), direction)
    if wanted is None:
        raise ValueError(
            f"direction: expected direction=min or direction=max, as no objective says which of "
            f"the two is wanted of {metric}, got none"
        )
    if direction not in (None, wanted):
        raise ValueError(
            f"direction: expected {wanted}, as the objective says of {metric}, got {direction}"
        )
    return Quantity(metric, 1 if wanted == "min" else -1)


def declared_direction(run: Run, metric: str) -> str | None:
    """Return min or max, as the run's objective declares it of a metric; None where it does not."""
    goal = run.header.get("goals", {}).get(metric)
    if goal is not None:
        return "min" if goal["minimise"] else "max"
    if run.header["metric"] == metric and metric in _EARLIER:
        return _EARLIER[metric]
    return None


def _tested(run: Run) -> Iterable[str]:
    return (name for test in run.tests for name in test["metrics"])


def _cut_off(paths: Sequence[Path]) -> list[str]:
    """Say which logs end before their header, and so are no runs yet."""
    logs = [log for path in paths if path.is_dir() for log in path.rglob("log.jsonl")]
    empty = [log for log in logs if not _begun(log)]
    return [f"logs without a whole header: {len(empty)}, first {empty[0]}"] if empty else []


def _begun(log: Path) -> bool:
    with log.open("rb") as file:
        return file.readline().endswith(b"\n")


def _spread_notes(runs: Sequence[Run]) -> list[str]:
    """Warn where runs of one comparison come from different code, versions or hardware."""
    notes = []
    for key in ("code", "versions", "hardware"):
        distinct = {repr(run.header[key]) for run in runs}
        if len(distinct) > 1:
            notes.append(f"the runs were made with {len(distinct)} different {key}")
    return notes
