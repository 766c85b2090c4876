"""`tuneoff status`: the progress of runs, of one as of a whole experiment.

- For an experiment, a table has one row per optimizer, with the numbers of its runs that are done,
  running, partial, failed and waiting, and the estimated time left. The estimate assumes that
  evaluations take as long as before, and that as many runs are executed at once as in the last
  sweep. Below it stand the incumbents among all runs of each objective, the running runs, and the
  failed ones.
- For a folder of other runs, a table has one row per run, and the incumbents stand below it.
- A single run is described in full: its incumbents, workers, failures and interruptions.

Logs are read as far as they have grown, and nothing is written.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.running.layout import aligned, width, wrapped
from experiments.running.plan import (
    PLAN,
    RunState,
    locked_files,
    read_ledger,
    read_plan,
    states,
    summary,
)
from experiments.running.readers import path
from experiments.running.settings import Command, Given, Setting
from experiments.sweeping.glances import Glance, best_lines, looked_at, running_line
from experiments.sweeping.single_runs import show_runs
from experiments.sweeping.sweep import default_folder

STATES = ("done", "running", "partial", "failed", "waiting")


def table(
    plan: dict[str, Any],
    found: dict[str, RunState],
    left: Mapping[str, float | None],
    columns: int | None = None,
) -> list[str]:
    """Return the lines of the table of an experiment, with totals in the last one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for run in plan["runs"]:
        counts[run["optimizer"]][found[run["identity"]].state] += 1
    rows = [["optimizer", *STATES, "time left"]]
    for optimizer, count in counts.items():
        rows.append([optimizer, *(str(count[s]) for s in STATES), duration(left[optimizer])])
    every = sum(counts.values(), Counter())
    known = None if None in left.values() else sum(s for s in left.values() if s is not None)
    rows.append(["all", *(str(every[state]) for state in STATES), duration(known)])
    return aligned(rows, columns)


def time_left(
    plan: dict[str, Any],
    found: dict[str, RunState],
    ledger: list[dict[str, Any]],
    seen: Mapping[str, Glance] | None = None,
) -> dict[str, float | None]:
    """Return the estimated seconds left for each optimizer; None if there is no estimate yet.

    The duration of a full evaluation is estimated by the mean over the optimizer's finished runs,
    else over its other runs, else over the finished runs of all optimizers.

    Args:
        plan: the plan of the experiment.
        found: the state of every run by its identity.
        ledger: the events of the ledger.
        seen: what the logs say, by identity; without it, every evaluation counts as a full one.
    """
    seen = seen or {}
    of = {run["identity"]: run["optimizer"] for run in plan["runs"]}
    seconds: Counter[str] = Counter()
    made: Counter[str] = Counter()
    workers = 1
    for event in ledger:
        if event["event"] == "start":
            workers = event["workers"]
        elif event["event"] == "done" and event["identity"] in of:
            run = seen.get(event["identity"])
            share = run.progress.done / run.n_evaluations if run and run.n_evaluations else 1.0
            for name in (of[event["identity"]], ""):  # "": all optimizers together
                seconds[name] += event["wall_s"]
                made[name] += event["evaluations"] * share
    left: dict[str, float | None] = {}
    for name in dict.fromkeys(of.values()):
        own = [i for i, optimizer in of.items() if optimizer == name]
        to_make = sum(
            max(0.0, plan["budget"] - (seen[i].progress.done if i in seen else f.evaluations))
            for i in own
            if (f := found[i]).state not in ("done", "failed")
        )
        each = _each(name, seconds, made, [seen[i] for i in own if i in seen])
        left[name] = 0.0 if to_make == 0 else None if each is None else to_make * each / workers
    return left


def _each(
    name: str, seconds: Mapping[str, float], made: Mapping[str, float], runs: Sequence[Glance]
) -> float | None:
    """Return the estimated seconds of a full evaluation of one optimizer."""
    if made[name]:
        return seconds[name] / made[name]
    known = [run.progress.each_s for run in runs if run.progress.each_s is not None]
    if known:
        return sum(known) / len(known)
    return seconds[""] / made[""] if made[""] else None


def duration(seconds: float | None) -> str:
    """Return a duration in a readable unit."""
    if seconds is None:
        return "unknown"
    if seconds == 0:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


COMMAND = Command(
    "status",
    "Show the progress of runs, their incumbents, and how long they will still take.",
    [
        ("tuneoff status experiment=smoke", "a sweep in the folder results/smoke"),
        ("tuneoff status ~/results/mine", "any folder of a sweep"),
        ("tuneoff status results/branin/soo/seed0-1a2b3c4d", "one run in full"),
        ("tuneoff status results/branin", "all runs in a folder"),
    ],
    [
        Setting("experiment", "The experiment= of the sweep.", shown="the FOLDER"),
        Setting("out", "The out= of the sweep.", path, shown="results/ and the name"),
    ],
    folders="The folder of a sweep, of a run, or of several runs.",
    least_folders=0,
)


def _folder(given: Given) -> Path:
    """Return the folder that the command line names."""
    experiment, out = given["experiment"], given["out"]
    named = [*given.folders, *([out or default_folder(experiment)] if experiment or out else [])]
    if len(named) != 1:
        got = " and ".join(map(str, named)) or "none"
        raise ValueError(f"status: expected experiment=NAME or one FOLDER, got {got}")
    return named[0]


def main(arguments: Sequence[str]) -> int:
    """Print the table; return the exit status."""
    return COMMAND.answer(arguments, _status)


def _status(given: Given) -> int:
    folder = _folder(given)
    columns = width()
    logs = sorted(folder.rglob("log.jsonl")) if folder.is_dir() else []
    if logs and not (folder / PLAN).is_file():
        lines, broken = show_runs(folder, logs, columns)
    else:
        lines, broken = _sweep(folder, columns)
    for line in lines:
        print(line)
    for line in broken:
        print(f"damaged: {line}", file=sys.stderr)
    return 2 if broken else 0


def _sweep(folder: Path, columns: int | None) -> tuple[list[str], list[str]]:
    """Return the lines on an experiment, and one for each log that cannot be read."""
    plan = read_plan(folder)
    found = states(folder, plan)
    ledger = read_ledger(folder)
    runs = {run["identity"]: run for run in plan["runs"]}
    places = [folder / run["folder"] / "log.jsonl" for run in plan["runs"]]
    looked, broken = looked_at([place for place in places if place.exists()], locked_files())
    seen = {run.header.identity: run for run in looked if run.header.identity in runs}

    def label(run: Glance) -> str:
        planned = runs[run.header.identity]
        return f"{planned['optimizer']}, seed {planned['seed']}"

    def objective(run: Glance) -> str:
        return str(runs[run.header.identity]["objective"])

    at_once = [event["workers"] for event in ledger if event["event"] == "start"][-1:] or [1]
    title = (
        f"{plan['name']}: {summary(found.values())}; budget {plan['budget']:g}, "
        f"{at_once[0]} {'run' if at_once[0] == 1 else 'runs'} at once: {folder}"
    )
    lines = [wrapped(title, columns, "  ")]
    lines += table(plan, found, time_left(plan, found, ledger, seen), columns)
    more = best_lines(list(seen.values()), objective, label)
    for identity, run in runs.items():
        if found[identity].state == "running" and identity in seen:
            where = f"{run['optimizer']} on {run['objective']}, seed {run['seed']}"
            more.append(running_line(seen[identity], where))
    more += _interrupted(list(seen.values()))
    for identity, run in runs.items():
        if found[identity].state == "failed":
            what = f"{run['optimizer']} on {run['objective']}, seed {run['seed']}"
            more.append(f"failed: {what}: {found[identity].error}")
    return [*lines, *(wrapped(line, columns, "  ") for line in more)], broken


def _interrupted(runs: Sequence[Glance]) -> list[str]:
    """Return a line on the failed evaluations and on those that hosts interrupted, if any."""
    failed = sum(run.progress.n_failed for run in runs)
    retried = [event for run in runs for event in run.progress.retried]
    lines = []
    if failed:
        of = sum(run.n_evaluations for run in runs)
        lines.append(f"evaluations failed: {failed} of {of}")
    if retried:
        last = max(retried, key=lambda event: event.time)
        lines.append(f"evaluations retried: {len(retried)}, the last because: {last.reason}")
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
