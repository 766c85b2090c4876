"""The status of runs that belong to no experiment: one in full, or a table of several."""

from collections.abc import Sequence
from pathlib import Path

from experiments.analysis.labels import labels_of
from experiments.running.display import result_rows
from experiments.running.layout import aligned, wrapped
from experiments.running.plan import locked_files
from experiments.running.progress import Progress, progress
from experiments.running.run_log import read
from experiments.sweeping.glances import Glance, best_lines, left, looked_at
from objectives.heartbeat import duration

_MOST_ROWS = 50  # runs that a table lists; the others are counted

_ELSEWHERE_S = 300.0
"""A stopped run that answered so recently may be running on another machine."""

_MOST_BUSY = 4  # pending trials that are listed


def show_runs(
    folder: Path, logs: Sequence[Path], columns: int | None
) -> tuple[list[str], list[str]]:
    """Return the lines on the runs of a folder, and one for each log that cannot be read.

    Args:
        folder: the folder.
        logs: the logs below it.
        columns: the width of the terminal; None if the output is not a terminal.

    Raises:
        ValueError: there is only one log, and it is damaged or empty.
    """
    running = locked_files()
    if len(logs) == 1:
        lines = _in_full(logs[0], logs[0].stat().st_ino in running)
        return [wrapped(line, columns, " " * 13) for line in lines], []
    runs, broken = looked_at(logs, running)
    if not runs:
        return [f"{folder}: no run has begun"], broken
    named = dict(zip((run.path for run in runs), labels_of(runs), strict=True))
    order = {"running": 0, "stopped": 1, "done": 2}
    runs.sort(key=lambda run: order[run.progress.state])
    counts = [(state, sum(run.progress.state == state for run in runs)) for state in order]
    said = ", ".join(f"{n} {state}" for state, n in counts if n)
    lines = [wrapped(f"{len(runs)} runs: {said}: {folder}", columns, "  ")]
    lines += aligned(
        [_TITLES, *(_row(run, *named[run.path]) for run in runs[:_MOST_ROWS])], columns
    )
    if len(runs) > _MOST_ROWS:
        lines.append(f"and {len(runs) - _MOST_ROWS} more")
    best = best_lines(
        runs,
        lambda run: named[run.path][1],
        lambda run: f"{named[run.path][0]}, seed {run.seed}",
    )
    return [*lines, *(wrapped(line, columns, "  ") for line in best)], broken


_TITLES = ["run", "state", "evaluations", "failed", "retried", "workers", "time left"]


def _row(run: Glance, optimizer: str, objective: str) -> list[str]:
    now = run.progress
    workers = f"{len(now.busy)} of {run.header.workers}" if now.state == "running" else "-"
    return [
        f"{optimizer} on {objective}, seed {run.seed}",
        now.state,
        f"{now.done:.4g} of {run.budget:.4g}",
        str(now.n_failed),
        str(len(now.retried)),
        workers,
        "-" if now.state == "done" else left(now.left_s),
    ]


def _in_full(path: Path, live: bool) -> list[str]:
    """Return the description of one run."""
    history = read(path)
    header = history.header
    if header is None:
        raise ValueError(f"{path}: expected a run that has begun, got an empty log")
    now = progress(history, live)
    rows = [*result_rows(history), *_work(now, header.workers, len(history.evaluations))]
    name = f"{header.names['optimizer']} on {header.names['objective']}, seed {header.seed}"
    title = (
        f"{name}: {now.state}, {now.done:.4g} of {history.budget:.4g} evaluations: {path.parent}"
    )
    return [title, *(f"  {name:<10} {text}".rstrip() for name, text in rows)]


def _work(now: Progress, n_workers: int, n_evaluations: int) -> list[tuple[str, str]]:
    """Return the lines on the workers, failures and interruptions of a run, each with its name."""
    rows: list[tuple[str, str]] = []
    if now.state == "running":
        shown = [f"trial {trial.id} for {duration(s)}" for trial, s in now.busy[:_MOST_BUSY]]
        more = ["..."] if len(now.busy) > _MOST_BUSY else []
        busy = f"{len(now.busy)} of {n_workers} busy"
        rows.append(("workers", ": ".join([busy, *filter(None, [", ".join([*shown, *more])])])))
    if now.n_failed:
        error = " ".join((now.last_error or "").split())
        rows.append(("failed", f"{now.n_failed} of {n_evaluations}, the last: {error}"))
    if now.retried:
        last = now.retried[-1]
        rows.append(
            ("retried", f"{len(now.retried)}, the last: trial {last.id}, because: {last.reason}")
        )
    if now.quiet_s is not None and now.state != "done":
        elsewhere = now.state == "stopped" and now.quiet_s < _ELSEWHERE_S
        note = "; another machine may be executing the run" if elsewhere else ""
        rows.append(("last", f"answer {duration(now.quiet_s)} ago{note}"))
    if now.state != "done":
        each = "" if now.each_s is None else f", {duration(now.each_s)} a full evaluation"
        rows.append(("time left", f"{left(now.left_s)}{each}"))
    return rows
