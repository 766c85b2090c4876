"""`tuneoff status`: the progress of an experiment.

The table has one row per optimizer, with the numbers of its runs that are done, running, partial,
failed and waiting, and the estimated time left. The estimate assumes that evaluations take as long
as before, and that as many runs are executed at once as in the last sweep.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.running.plan import RunState, read_ledger, read_plan, states, summary
from experiments.running.readers import path
from experiments.running.settings import Command, Given, Setting
from experiments.sweeping.sweep import default_folder

STATES = ("done", "running", "partial", "failed", "waiting")


def table(plan: dict[str, Any], found: dict[str, RunState], ledger: list[dict[str, Any]]) -> str:
    """Return the table of an experiment, with a line of totals."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for run in plan["runs"]:
        counts[run["optimizer"]][found[run["identity"]].state] += 1
    left = time_left(plan, found, ledger)
    rows = [["optimizer", *STATES, "time left"]]
    for optimizer, count in counts.items():
        rows.append([optimizer, *(str(count[s]) for s in STATES), duration(left[optimizer])])
    every = sum(counts.values(), Counter())
    known = None if None in left.values() else sum(s for s in left.values() if s is not None)
    rows.append(["all", *(str(every[state]) for state in STATES), duration(known)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def time_left(
    plan: dict[str, Any], found: dict[str, RunState], ledger: list[dict[str, Any]]
) -> dict[str, float | None]:
    """Return the estimated seconds left for each optimizer; None if there is no estimate yet.

    The duration of an evaluation is estimated by the mean over the optimizer's finished runs, or
    over those of all optimizers if it has none.
    """
    of = {run["identity"]: run["optimizer"] for run in plan["runs"]}
    seconds: Counter[str] = Counter()
    made: Counter[str] = Counter()
    workers = 1
    for event in ledger:
        if event["event"] == "start":
            workers = event["workers"]
        elif event["event"] == "done" and event["identity"] in of:
            for name in (of[event["identity"]], ""):  # "": all optimizers together
                seconds[name] += event["wall_s"]
                made[name] += event["evaluations"]
    left: dict[str, float | None] = {}
    for name in dict.fromkeys(of.values()):
        to_make = sum(
            max(0.0, plan["budget"] - found[i].evaluations)
            for i, optimizer in of.items()
            if optimizer == name and found[i].state not in ("done", "failed")
        )
        known = name if made[name] else ""
        each = seconds[known] / made[known] if made[known] else None
        left[name] = 0.0 if to_make == 0 else None if each is None else to_make * each / workers
    return left


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
    "Show the progress of an experiment, and how long it will still take.",
    [
        ("tuneoff status experiment=smoke", "the folder results/smoke"),
        ("tuneoff status ~/results/mine", "any folder of a sweep"),
    ],
    [
        Setting("experiment", "The experiment= of the sweep.", shown="the FOLDER"),
        Setting("out", "The out= of the sweep.", path, shown="results/ and the name"),
    ],
    folders="The folder of a sweep.",
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
    plan = read_plan(folder)
    found = states(folder, plan)
    ledger = read_ledger(folder)
    print(f"{plan['name']}: {summary(found.values())}; budget {plan['budget']:g}: {folder}")
    print(table(plan, found, ledger))
    for run in plan["runs"]:
        state = found[run["identity"]]
        if state.state == "failed":
            what = f"{run['optimizer']} on {run['objective']}, seed {run['seed']}"
            print(f"failed: {what}: {state.error}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
