"""Build a suite from folders of results: the runs, the missing runs, and known optima."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.analysis import sources
from experiments.analysis.results import Run, load
from experiments.analysis.statistics.anytime import Missing, Quantity, Suite, compare_on
from experiments.analysis.statistics.fronts import HYPERVOLUME, INDICATORS, referred
from experiments.analysis.statistics.same_problem import problem
from experiments.running.plan import read_plan, states


def gather(
    paths: Sequence[Path],
    metric: str | None = None,
    direction: str | None = None,
    optima: bool = True,
    references: Mapping[str, float] | None = None,
) -> Suite:
    """Read folders and packed files, and put their runs on common budgets.

    If a folder holds the plan of a sweep, at any depth, the failed runs of the plan count as runs
    without a success, and a note lists the runs that have not been made yet.

    Args:
        paths: as for `experiments.analysis.results.load`.
        metric: compared at the incumbents instead of the value.
        direction: min or max; required if no objective declares the direction of the metric.
        optima: whether to use known optima, which only regrets need.
        references: references of goals instead of the declared ones, by metric.

    Raises:
        ValueError: the folders or the metric are invalid.
        OSError: a file cannot be read.
    """
    runs = referred(load(paths), references or {})
    quantity = quantity_of(runs, metric, direction)
    wanted = optima and quantity.metric in (None, HYPERVOLUME)
    known = known_optima(runs) if wanted else {}
    suite = compare_on(runs, quantity, known, missing(paths, runs))
    suite.notes.extend([*_cut_off(paths), *spread_notes(runs), *sources.notes(runs)])
    return suite


def known_optima(runs: Sequence[Run]) -> dict[str, float]:
    """Return the known optima by problem, as stated in the headers."""
    optima = {problem(run): _optimum(run) for run in runs}
    return {key: optimum for key, optimum in optima.items() if optimum is not None}


def _optimum(run: Run) -> float | None:
    """Return the lowest possible value; of several goals, the largest hypervolume, negated."""
    if not run.header.several:
        return run.header.optimum
    return None if run.header.hypervolume is None else -run.header.hypervolume


def quantity_of(runs: Sequence[Run], metric: str | None, direction: str | None) -> Quantity:
    """Return the quantity that is compared.

    A metric that an objective declares as a goal has that goal's direction.

    Raises:
        ValueError: no run has the metric, or its direction is not known.
    """
    if direction not in (None, "min", "max"):
        raise ValueError(f"direction: expected min or max, got {direction}")
    if metric is None and runs and all(run.header.several for run in runs):
        metric = HYPERVOLUME
    if metric in (None, "value"):
        if direction is not None:
            raise ValueError("direction: expected none, as the value is always minimised, got one")
        return Quantity()
    assert metric is not None
    if metric in INDICATORS and any(run.header.several for run in runs):
        return Quantity(metric, INDICATORS[metric])
    known = {name for run in runs for name in (*run.metrics, *_tested(run))}
    if metric not in known:
        raise ValueError(
            f"metric: expected one of {', '.join(['value', *sorted(known)])}, got {metric}"
        )
    return Quantity(metric, 1 if _direction(runs, metric, direction) == "min" else -1)


def _direction(runs: Sequence[Run], metric: str, given: str | None) -> str:
    """Return min or max, as the objectives declare it for the metric, or else as given."""
    goals = [goal for run in runs if (goal := run.header.goals.get(metric)) is not None]
    declared = {"min" if goal.minimise else "max" for goal in goals}
    if len(declared) > 1:
        raise ValueError(
            f"metric: expected one direction of {metric} in all runs, got min and max; compare "
            f"them apart"
        )
    wanted = next(iter(declared), given)
    if wanted is None:
        raise ValueError(
            f"direction: expected direction=min or direction=max, as no objective declares the "
            f"direction of {metric}, got none"
        )
    if given not in (None, wanted):
        raise ValueError(
            f"direction: expected {wanted}, as the objective declares for {metric}, got {given}"
        )
    return wanted


def _tested(run: Run) -> Iterable[str]:
    return (name for test in run.tests for name in test["metrics"])


def missing(paths: Sequence[Path], runs: Sequence[Run]) -> list[Missing]:
    """Return the planned runs that failed or have not been made yet, labelled like the others."""
    by_identity = {run.header.identity: run for run in runs}
    found = []
    for folder in sorted({plan.parent for path in paths for plan in path.rglob("experiment.json")}):
        plan = read_plan(folder)
        state = states(folder, plan)
        labels = _labels(plan["runs"], by_identity)
        for planned in plan["runs"]:
            identity = planned["identity"]
            failed = state[identity].state == "failed"
            if identity in by_identity and not failed:
                continue
            run = by_identity.get(identity)
            optimizer = run.optimizer if run else labels["optimizer", planned["optimizer"]]
            objective = run.objective if run else labels["objective", planned["objective"]]
            found.append(Missing(optimizer, objective, planned["seed"], failed))
    return found


def _labels(planned: Sequence[dict[str, Any]], runs: dict[str, Run]) -> dict[tuple[str, str], str]:
    """Map each name in the plan to the label of an existing run, or to itself."""
    found: dict[tuple[str, str], str] = {}
    for one in planned:
        run = runs.get(one["identity"])
        for family in ("optimizer", "objective"):
            if run is not None:
                found[family, one[family]] = getattr(run, family)
            else:
                found.setdefault((family, one[family]), one[family])
    return found


def _cut_off(paths: Sequence[Path]) -> list[str]:
    """Return a note on logs that end within their header, and so are not runs yet."""
    logs = [log for path in paths if path.is_dir() for log in path.rglob("log.jsonl")]
    empty = [log for log in logs if not _begun(log)]
    return [f"logs without a complete header: {len(empty)}, first {empty[0]}"] if empty else []


def _begun(log: Path) -> bool:
    with log.open("rb") as file:
        return file.readline().endswith(b"\n")


def spread_notes(runs: Sequence[Run]) -> list[str]:
    """Return a note for each of code, package versions and hardware in which the runs differ."""
    sources = {
        "code": "with {} different versions of the code",
        "versions": "with {} different sets of packages",
        "hardware": "on {} different machines, so their times and costs are not comparable",
    }
    notes = []
    for key, told in sources.items():
        distinct = {repr(getattr(run.header, key)) for run in runs}
        if len(distinct) > 1:
            notes.append(f"the runs were made {told.format(len(distinct))}")
    return notes
