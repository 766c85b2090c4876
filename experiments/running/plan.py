"""The folder of an experiment: the plan, and the progress of each run.

The logs are authoritative: a run is finished if its log ends with the event `end` under the
planned budget. The ledger adds only what the logs lack: failures of whole runs, and the time that
they took. An incomplete line of the ledger is ignored.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from experiments.running.fields import Fields
from experiments.running.json_lines import content_of, opened, parsed
from objectives.expected import refuse

PLAN = "experiment.json"
LEDGER = "ledger.jsonl"

ATTEMPTS = 2
"""A failed run is retried until it has had this many attempts; then it is listed as failed."""

_TAIL_BYTES = 1 << 16  # enough for the event `end`, which holds two numbers and a few durations


@dataclass(frozen=True)
class RunState:
    """The progress of a run.

    Attributes:
        state: done, running, partial, failed or waiting.
        evaluations: the number of evaluations in the log; not counted if the run is done.
        stopped: whether a rule ended the run, so that another rule may continue it.
        error: the reason of the last failure; None unless `state` is failed.
    """

    state: str
    evaluations: int = 0
    error: str | None = None
    stopped: bool = False


def read_plan(folder: Path) -> dict[str, Any]:
    """Return the plan of the experiment in a folder.

    Raises:
        ValueError: the folder contains no plan, or the plan is damaged.
    """
    path = folder / PLAN
    if not path.is_file():
        raise ValueError(
            f"{folder}: expected the folder of an experiment, got no {path.name} there"
        )
    try:
        plan = parsed(content_of(path))
        _check_plan(Fields(plan, "plan"))
    except ValueError as error:
        raise ValueError(
            f"{path}: expected the plan of an experiment, got a damaged file ({error}); remove it, "
            f"and repeat the sweep"
        ) from None
    found: dict[str, Any] = plan
    return found


def _check_plan(plan: Fields) -> None:
    """Raise `ValueError` unless every value of a plan has its type."""
    plan.text("name")
    if plan.number("budget") <= 0:
        refuse("plan.budget", "a positive number", plan.number("budget"))
    for number, described in enumerate(plan.items("runs")):
        run = Fields(described, f"plan.runs[{number}]")
        for key in ("identity", "optimizer", "objective", "folder"):
            run.text(key)
        run.whole("seed")
        folder = PurePosixPath(run.text("folder"))
        if folder.is_absolute() or ".." in folder.parts:
            refuse(f"plan.runs[{number}].folder", "a folder below the plan", str(folder))


def read_ledger(folder: Path) -> list[dict[str, Any]]:
    """Return the events of the ledger, without incomplete or damaged lines.

    Raises:
        ValueError: it is not a regular file.
        OSError: it cannot be read.
    """
    path = folder / LEDGER
    lines = content_of(path).split(b"\n") if path.exists() else []
    events = []
    for line in lines:
        try:
            event = parsed(line)
            _check_event(Fields(event, "ledger"))
        except ValueError:
            continue  # incomplete, because its writer was killed, or damaged
        events.append(event)
    return events


def _check_event(event: Fields) -> None:
    """Raise `ValueError` unless every value of an event has its type."""
    kind = event.text("event")
    if kind in ("done", "failed"):
        event.text("identity")
    if kind == "start":
        event.whole("workers", 1)
    elif kind == "failed":
        event.text("error")
    elif kind == "done":
        event.whole("evaluations")
        if event.number("wall_s") < 0:
            refuse("ledger.wall_s", "seconds", event.number("wall_s"))


def failures(events: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the errors of each run by identity, since the last `retry` event."""
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
    events, locked = read_ledger(folder), locked_files()
    failed = failures(events)
    made = {event["identity"] for event in events if event["event"] == "done"}
    found = {}
    for run in plan["runs"]:
        identity, path = run["identity"], folder / run["folder"] / "log.jsonl"
        end = end_of(path, identity)
        ended = None if end is None else float(end["budget"])
        # `tuneoff run` may have extended the log; the sweep has checked that it still counts.
        if ended == plan["budget"] or (identity in made and ended and ended > plan["budget"]):
            found[identity] = RunState("done", stopped=end is not None and "reason" in end)
            continue
        n = content_of(path).count(b'{"event": "evaluation"') if path.exists() else 0
        errors = failed.get(identity, [])
        state = "partial" if path.exists() else "waiting"
        if path.exists() and path.stat().st_ino in locked:
            state = "running"
        elif len(errors) >= ATTEMPTS:
            state = "failed"
        found[identity] = RunState(state, n, errors[-1] if state == "failed" else None)
    return found


def end_of(path: Path, identity: str) -> dict[str, Any] | None:
    """Return the end event of a run, which has a budget, from the last line of its log.

    Return None if there is no log, if it belongs to another run, or if the run has not ended.
    """
    try:
        with opened(path) as file:
            header = parsed(file.readline())
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            *_, last, after = file.read().split(b"\n")
        end: dict[str, Any] = parsed(last)
        mine = header["identity"] == identity and end["event"] == "end" and after == b""
        return {**end, "budget": float(end["budget"])} if mine else None
    except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError):
        return None


def summary(states: Iterable[RunState]) -> str:
    """Return the number of runs in each state, on one line."""
    counts = Counter(state.state for state in states)
    order = ("done", "running", "partial", "failed", "waiting")
    return ", ".join(f"{counts[name]} {name}" for name in order if counts[name] or name == "done")


def locked_files() -> set[int]:
    """Return the inodes of locked files, or an empty set if the system does not list locks.

    The devices are ignored, because on overlay and btrfs `stat` reports another device than the
    list of locks. Trying to lock a log would also work, but it could disturb a run that starts at
    that moment.
    """
    try:
        return held(Path("/proc/locks").read_text())
    except OSError:
        return set()


def held(locks: str) -> set[int]:
    """Return the inodes of the held locks in the text of `/proc/locks`; `->` marks waiters."""
    found = re.findall(r"^\d+: FLOCK .* \w+:\w+:(\d+) ", locks, flags=re.MULTILINE)
    return {int(inode) for inode in found}
