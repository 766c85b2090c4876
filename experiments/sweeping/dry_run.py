"""What a sweep would do, and what would stop it, without evaluating or writing anything."""

from collections.abc import Sequence
from pathlib import Path

from experiments.running.dry_run import (
    Row,
    disk_text,
    faults_of,
    folder_faults,
    needs,
    shown,
    stop_text,
)
from experiments.running.logged_costs import seconds_of
from experiments.running.plan import PLAN, RunState, read_plan, states, summary
from experiments.running.run import Run
from experiments.sweeping.experiment import Experiment, PlannedRun
from experiments.sweeping.ledger import check_plan, plan_of
from objectives.heartbeat import duration

WAITING = RunState("waiting")


def look_ahead(
    experiment: Experiment, planned: Sequence[PlannedRun], folder: Path, runs_at_once: int
) -> tuple[str, list[str]]:
    """Return the text of a sweep's dry run, and one line for each fault that was found.

    One run of each optimizer on each objective is checked, that of its first seed.
    """
    found, faults = _states(experiment, planned, folder)
    left_of = {
        run.header.identity: _left(run, found.get(run.header.identity, WAITING)) for run in planned
    }
    seconds, unknown, needed, outlooks = 0.0, [], [], []
    for own in _pairs(planned):
        run = Run(own[0].settings)
        faults += [f"{own[0]}: {line}" for line in faults_of(run)]
        outlook = run.objective.outlook()
        here = [] if run.elsewhere or experiment.spread is not None else outlook.faults_here
        faults += [f"{own[0]}: {line}" for line in [*outlook.faults, *here]]
        each, _ = seconds_of(run, [folder / own[0].header.names["objective"]], outlook)
        left = sum(left_of[one.header.identity] for one in own)
        if each is None:
            unknown.append(own[0].objective)
        else:
            alone = run.objective.resources.whole_host  # a sweep makes such runs one at a time
            seconds += left * each / (own[0].header.workers * (1 if alone else runs_at_once))
        needed.append(needs(run.objective, own[0].header.workers))
        outlooks.append(outlook)
    total = sum(left_of.values())
    largest = max(outlooks, key=lambda outlook: outlook.disk_gib or 0.0)
    rows: list[Row] = [
        ("folder", str(folder)),
        ("optimizers", f"{len(experiment.optimizers)}: {', '.join(experiment.optimizers)}"),
        ("objectives", f"{len(experiment.objectives)}: {', '.join(experiment.objectives)}"),
        ("seeds", f"{len(experiment.seeds)}: {', '.join(map(str, experiment.seeds))}"),
        ("runs", f"{len(planned)}, of which {summary(found.values()) if found else '0 done'}"),
        ("budget", f"{experiment.budget:g} full evaluations per run, {total:g} are left in total"),
        (
            "workers",
            f"{', '.join(map(str, experiment.workers))} in a run; runs at once: {runs_at_once}",
        ),
        ("executor", experiment.executor if experiment.spread is None else experiment.spread),
        ("stop", stop_text(planned[0].settings.stop)),
        *(("needs", text) for text in dict.fromkeys(needed)),
        ("time", _time(seconds, sorted(set(unknown)))),
        ("disk", disk_text(folder, total, largest, runs_at_once)),
    ]
    return shown(f"the experiment {experiment.name}", rows), [*faults, *folder_faults(folder)]


def _states(
    experiment: Experiment, planned: Sequence[PlannedRun], folder: Path
) -> tuple[dict[str, RunState], list[str]]:
    """Return the states of the runs in the folder, and why they do not belong to the plan."""
    if not (folder / PLAN).exists():
        return {}, []
    earlier = read_plan(folder)
    try:
        check_plan(folder, earlier, plan_of(experiment, planned), planned)
    except ValueError as error:
        return {}, [str(error)]
    return states(folder, plan_of(experiment, planned)), []


def _left(run: PlannedRun, state: RunState) -> float:
    if state.state == "done":
        return 0.0
    return max(0.0, run.header.budget - state.evaluations)


def _pairs(planned: Sequence[PlannedRun]) -> list[list[PlannedRun]]:
    """Return the runs of each optimizer on each objective."""
    pairs: dict[tuple[str, str], list[PlannedRun]] = {}
    for run in planned:
        pairs.setdefault((run.optimizer, run.objective), []).append(run)
    return list(pairs.values())


def _time(seconds: float, unknown: Sequence[str]) -> str:
    """Return the estimated time of the evaluations that are left."""
    known = f"about {duration(seconds)}, and the optimizers' own time" if seconds else ""
    if not unknown:
        return known or "none is left"
    names = ", ".join(unknown)
    return f"{known}{'; ' if known else ''}unknown for {names}, of which no evaluation is logged"
