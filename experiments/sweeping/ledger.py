"""The folder of an experiment: its plan, its lock, its ledger and its runs.

    experiment.json   the plan: the identity and the folder of every run
    ledger.jsonl      the history of the sweeps: a line for each run that finished or failed
    .lock             locked while any process of a sweep lives, so that a second one cannot start
    <objective>/<optimizer>/seed<seed>-<identity>/log.jsonl

`experiments/running/plan.py` reads these files.
"""

import fcntl
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.running.plan import LEDGER, PLAN, read_plan
from experiments.running.run_log import read
from experiments.running.same_run import difference
from experiments.running.whole_files import named
from experiments.sweeping.experiment import Experiment, PlannedRun


class Lock:
    """The lock of a folder. Workers inherit `file`, and the last one to end releases the lock.

    Raises:
        ValueError: another sweep still holds the lock after `patience_s`.
    """

    def __init__(self, folder: Path, patience_s: float) -> None:
        self.file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        until = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    os.close(self.file)
                    raise ValueError(
                        f"{folder}: expected no other sweep in this folder, got one that is still "
                        f"running; wait for it, or give another out="
                    ) from None
                time.sleep(0.05)


class Ledger:
    """The folder of one experiment, used by the sweep that holds its lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(self, experiment: Experiment, runs: Sequence[PlannedRun]) -> None:
        """Write the plan.

        Raises:
            ValueError: a run of the earlier plan is missing in this one.
        """
        fields = plan_of(experiment, runs)
        path = self.folder / PLAN
        if path.exists():
            check_plan(self.folder, read_plan(self.folder), fields, runs)
        new = path.with_suffix(".new")
        with named(path):
            new.write_text(json.dumps(fields, indent=0))
            os.replace(new, path)

    def append(self, **fields: Any) -> None:
        """Append one line to the ledger."""
        line = json.dumps({**fields, "time": time.time()}).encode() + b"\n"
        path = self.folder / LEDGER
        with named(path), path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read() == b"\n" else b"\n" + line  # after an incomplete line
            file.write(line)


def plan_of(experiment: Experiment, runs: Sequence[PlannedRun]) -> dict[str, Any]:
    """Return the plan of an experiment as plain values."""
    return {
        "name": experiment.name,
        "budget": float(experiment.budget),
        "runs": [
            {
                "identity": run.header.identity,
                "optimizer": run.optimizer,
                "objective": run.objective,
                "seed": run.header.seed,
                "folder": run.folder,
            }
            for run in runs
        ],
    }


def check_plan(
    folder: Path, earlier: dict[str, Any], now: dict[str, Any], runs: Sequence[PlannedRun]
) -> None:
    """Raise `ValueError` unless the new plan contains every earlier run; it may add runs."""
    advice = "give another out=, or the earlier settings"
    if earlier["budget"] != now["budget"]:
        raise ValueError(
            f"{folder}: expected budget={earlier['budget']:g} as in the earlier runs, got "
            f"{now['budget']:g}; {advice}"
        )
    planned = {run["identity"] for run in now["runs"]}
    gone = [run for run in earlier["runs"] if run["identity"] not in planned]
    if not gone:
        return
    first = gone[0]
    what = f"{first['optimizer']} on {first['objective']}, seed {first['seed']}"
    said = f"expected all earlier runs in the experiment, got a plan that lacks {len(gone)} of them"
    same = [run for run in runs if str(run) == what]
    log = folder / first["folder"] / "log.jsonl"
    header = read(log).header if same and log.exists() else None
    why = "the experiment no longer names it"
    if same:
        why = "its settings, code version or data changed"
    for key in ("optimizer", "objective", "fingerprint") if header else ():
        assert header is not None
        why = difference(key, getattr(header, key), getattr(same[0].header, key)) or why
    raise ValueError(f"{folder}: {said}, first {what} ({why}); {advice}")
