"""What a folder of an experiment holds: its plan, its lock, the failures, and the runs' states.

    experiment.json   the plan: every run by its identity, and where it is
    ledger.jsonl      what the sweeps did: a line per run that was made or that failed
    .lock             held while any process of a sweep lives, so a second sweep is refused
    <objective>/<optimizer>/seed<seed>-<identity>/log.jsonl

The logs decide: a run is finished where its log ends with the event `end` under the planned
budget. The ledger adds only what no log has, failures of whole runs and the time they took.
A line of it that was cut off is ignored.
"""

import fcntl
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.running.run import difference
from experiments.running.run_log import read
from experiments.sweeping.experiment import Experiment, PlannedRun

ATTEMPTS = 2
"""A run that failed is tried once more; then it is left and listed."""

_TAIL_BYTES = 1 << 16  # the event `end` holds two numbers and a few times


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        state: done, running, partial, failed or waiting.
        evaluations: how many its log holds; counted only where the run is not done.
        error: why it failed last, None unless `state` is failed.
    """

    state: str
    evaluations: int = 0
    error: str | None = None


class Lock:
    """The lock of a folder; workers inherit `file`, and the last one to end gives it free.

    Raises:
        ValueError: another sweep has it, also after `patience_s`.
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
                        f"{folder}: expected no other sweep in this folder, got one that still "
                        f"goes on; wait for it, or give another out="
                    ) from None
                time.sleep(0.05)


class Ledger:
    """The folder of one experiment, for the sweep that has its lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(self, experiment: Experiment, runs: Sequence[PlannedRun]) -> None:
        """Write the plan.

        Raises:
            ValueError: a run of the earlier plan is not in this one.
        """
        fields = {
            "name": experiment.name,
            "budget": float(experiment.budget),
            "runs": [
                {
                    "identity": run.header["identity"],
                    "optimizer": run.optimizer,
                    "objective": run.objective,
                    "seed": run.header["seed"],
                    "folder": run.folder,
                }
                for run in runs
            ],
        }
        path = self.folder / "experiment.json"
        if path.exists():
            _check_same(self.folder, read_plan(self.folder), fields, runs)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(fields, indent=0))
        os.replace(new, path)

    def append(self, **fields: Any) -> None:
        """Write one line; it survives the process."""
        line = json.dumps({**fields, "time": time.time()}).encode() + b"\n"
        with (self.folder / "ledger.jsonl").open("ab") as file:
            file.write(line)


def read_plan(folder: Path) -> dict[str, Any]:
    """Return the plan of the experiment in a folder.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    path = folder / "experiment.json"
    if not path.is_file():
        raise ValueError(
            f"{folder}: expected the folder of an experiment, got no {path.name} there"
        )
    try:
        plan: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError:
        raise ValueError(f"{path}: expected JSON, got a damaged file; remove it") from None
    return plan


def read_ledger(folder: Path) -> list[dict[str, Any]]:
    """Return the whole lines of the ledger."""
    path = folder / "ledger.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    events = []
    for line in lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue  # cut off by a kill
    return events


def failures(events: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the errors of the runs by identity, since the last time they were forgiven."""
    found: dict[str, list[str]] = {}
    for event in events:
        if event["event"] == "retry":
            found.clear()
        elif event["event"] == "failed":
            found.setdefault(event["identity"], []).append(event["error"])
        elif event["event"] == "done":
            found.pop(event["identity"], None)
    return found


def states(folder: Path, plan: dict[str, Any]) -> dict[str, RunState]:
    """Return the state of every planned run by its identity."""
    events, locked = read_ledger(folder), _locked()
    failed = failures(events)
    made = {event["identity"] for event in events if event["event"] == "done"}
    found = {}
    for run in plan["runs"]:
        identity, path = run["identity"], folder / run["folder"] / "log.jsonl"
        ended = budget_at_end(path, identity)
        # A log that `run.py` extended is longer; the sweep has looked whether it still counts.
        if ended == plan["budget"] or (identity in made and ended and ended > plan["budget"]):
            found[identity] = RunState("done")
            continue
        n = path.read_bytes().count(b'{"event": "evaluation"') if path.exists() else 0
        errors = failed.get(identity, [])
        state = "partial" if path.exists() else "waiting"
        if path.exists() and path.stat().st_ino in locked:
            state = "running"
        elif len(errors) >= ATTEMPTS:
            state = "failed"
        found[identity] = RunState(state, n, errors[-1] if state == "failed" else None)
    return found


def budget_at_end(path: Path, identity: str) -> float | None:
    """Return the budget under which the log of a run ended, by its first and last line.

    None: there is no log, it is another run's, or it has not ended.
    """
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline())
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            *_, last, after = file.read().split(b"\n")
        end = json.loads(last)
        mine = header["identity"] == identity and end["event"] == "end" and after == b""
        return float(end["budget"]) if mine else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def summary(states: Iterable[RunState]) -> str:
    """Return how many runs are in which state, in one line."""
    counts = Counter(state.state for state in states)
    order = ("done", "running", "partial", "failed", "waiting")
    return ", ".join(f"{counts[name]} {name}" for name in order if counts[name] or name == "done")


def _locked() -> set[int]:
    """Return the inodes of files with a lock, where the system tells.

    The devices are left out: on overlay and btrfs `stat` names others than the lock does. A
    lock of our own would tell too, but disturb a run that starts at that moment.
    """
    try:
        return held(Path("/proc/locks").read_text())
    except OSError:
        return set()


def held(locks: str) -> set[int]:
    """Return the inodes in the text of `/proc/locks` that are held; `->` marks who waits."""
    found = re.findall(r"^\d+: FLOCK .* \w+:\w+:(\d+) ", locks, flags=re.MULTILINE)
    return {int(inode) for inode in found}


def _check_same(
    folder: Path, earlier: dict[str, Any], now: dict[str, Any], runs: Sequence[PlannedRun]
) -> None:
    """Raise unless every earlier run is planned again; further ones may be added."""
    advice = "give another out=, or the earlier settings"
    if earlier["budget"] != now["budget"]:
        raise ValueError(
            f"{folder}: expected budget={earlier['budget']:g} as the earlier runs have, got "
            f"{now['budget']:g}; {advice}"
        )
    planned = {run["identity"] for run in now["runs"]}
    gone = [run for run in earlier["runs"] if run["identity"] not in planned]
    if not gone:
        return
    first = gone[0]
    what = f"{first['optimizer']} on {first['objective']}, seed {first['seed']}"
    said = f"expected all earlier runs in the experiment, got {len(gone)} of other identities"
    same = [run for run in runs if str(run) == what]
    log = folder / first["folder"] / "log.jsonl"
    header = read(log).header if same and log.exists() else None
    why = "it is no longer named"
    if same:
        why = "its settings, code version or data changed"
    for key in ("optimizer", "objective", "fingerprint") if header else ():
        assert header is not None
        why = difference(key, header[key], same[0].header[key]) or why
    raise ValueError(f"{folder}: {said}, first {what} ({why}); {advice}")
