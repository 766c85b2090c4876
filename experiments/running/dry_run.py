"""What a run would do, and what would stop it, without an evaluation and without writing a file.

`tuneoff run dry_run=true` prints this. Creating the objective has already checked its settings,
data and model; for a server also its program, image, machine and GPUs. What can be checked besides
is checked here: the optimizer, the executor, the folder of the run, ports, and the default.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments.running.history import History
from experiments.running.logged_costs import RESULTS, seconds_of
from experiments.running.mistakes import explain
from experiments.running.plan import locked_files
from experiments.running.run import Run
from experiments.running.tracking import BACKENDS, module_of
from objectives.description import describe
from objectives.heartbeat import duration
from objectives.objective import Objective, Outlook
from objectives.space import UnitCube, check

Row = tuple[str, str]
"""A name and its description."""

LOG_BYTES = 1000.0
"""A typical length of an evaluation and its ask in the log."""

_GIB = 2.0**30
_LEAST_FREE_GIB = 0.1


def shown(title: str, rows: list[Row]) -> str:
    """Return the text of a dry run."""
    lines = [f"dry run, nothing is evaluated or written: {title}"]
    return "\n".join([*lines, *(f"  {name:<10} {text}".rstrip() for name, text in rows)])


def look_ahead(run: Run, folder: Path, tracking: str = "none") -> tuple[str, list[str]]:
    """Return the text of a run's dry run, and one line for each fault that was found."""
    settings, objective = run.settings, run.objective
    faults = list(faults_of(run, tracking))
    outlook = objective.outlook()
    faults += [*outlook.faults, *([] if run.elsewhere else outlook.faults_here)]
    history, new_faults = _history(run, folder)
    left = max(0.0, settings.budget - history.done)
    names = settings.names
    seconds, source = seconds_of(run, [folder, RESULTS / names["objective"]], outlook)
    rows = [
        ("folder", f"{folder} ({_progress(run, history)})"),
        *about(objective),
        ("start", f"{len(run.start)} configurations" if run.start else "the optimizer begins"),
        ("budget", f"{settings.budget:g} full evaluations, of which {left:g} are left"),
        ("workers", f"{settings.workers} ({_named(settings.executor) or 'auto'})"),
        ("stop", stop_text(settings.stop)),
        ("needs", needs(objective, settings.workers)),
        ("time", time_text(left, seconds, source, settings.workers, settings.evaluation_timeout_s)),
        ("disk", disk_text(folder, left, outlook, settings.workers)),
    ]
    faults += [*new_faults, *folder_faults(folder)]
    if not faults:
        rows.append(("checked", "objective, default, optimizer, executor, stop rule, folder"))
    title = f"{names['optimizer']} on {names['objective']}, seed {settings.seed}"
    return shown(title, rows), faults


def faults_of(run: Run, tracking: str = "none") -> Iterator[str]:
    """Yield what would stop a run before its first evaluation, apart from its folder."""
    checks: list[Callable[[], object]] = [
        lambda: run.stop.check(run.header),
        lambda: run.make_optimizer().close(),
        lambda: _check_default(run.objective),
        lambda: _check_executor(run),
    ]
    if tracking != BACKENDS[0]:
        checks.append(module_of(tracking).client)
    for one in checks:
        try:
            one()
        except Exception as error:
            line = explain(error, [])
            if line is None:
                raise
            yield line


def _check_default(objective: Objective) -> None:
    default = objective.default
    if default is None:
        return
    check(objective.space, default)
    if not UnitCube(objective.space).allows(default):
        raise ValueError(f"objective.default: expected an allowed configuration, got {default}")


def _check_executor(run: Run) -> None:
    """Raise if the executor cannot be created, or its workers cannot be reached."""
    executor: Any = run.make_executor()
    try:
        if hasattr(executor, "reach"):
            executor.reach()
    finally:
        executor.close()


def _history(run: Run, folder: Path) -> tuple[History, list[str]]:
    """Return the log so far, and the reason why the run could not continue it."""
    path = folder / "log.jsonl"
    try:
        history = run.history(folder)
    except (ValueError, OSError) as error:
        return History(), [explain(error, []) or str(error)]
    if path.exists() and path.stat().st_ino in locked_files():
        return history, [
            f"{path}: expected a log that no other process is writing, got a locked one"
        ]
    return history, []


def _progress(run: Run, history: History) -> str:
    if history.header is None:
        return "a new run"
    made = f"{len(history.evaluations)} evaluations are in its log"
    return f"already finished, {made}" if run.is_finished(history) else f"resumed, {made}"


def about(objective: Objective) -> list[Row]:
    """Return the rows on an objective: its space, its default, its goals and its data."""
    goals = ", ".join(
        f"{'minimise' if goal.minimise else 'maximise'} {name}"
        for name, goal in objective.goals.items()
    )
    default = objective.default
    settings = "none" if default is None else ", ".join(f"{k}={v}" for k, v in default.items())
    rows = [
        ("space", f"{len(objective.space)} parameters"),
        *(("", f"{name}: {_range(text)}") for name, text in describe(objective.space).items()),
        ("default", settings),
        ("goals", goals or "minimise the value"),
    ]
    shares = None if objective.fidelities is None else objective.fidelities.grid
    if shares is not None:
        rows.append(("fidelities", ", ".join(f"{share:.4g}" for share in shares)))
    notice = objective.notice()
    return rows if notice is None else [*rows, ("data", notice)]


def _range(description: dict[str, Any]) -> str:
    """Return a parameter's type, range and condition in a few words."""
    rest = {key: x for key, x in description.items() if key not in ("type", "lower", "upper")}
    if "lower" in description:
        rest = {"from": description["lower"], "to": description["upper"], **rest}
    words = [f"{key} {x}" for key, x in rest.items() if x is not False]
    return ", ".join([str(description["type"]), *words])


def _named(settings: dict[str, Any]) -> str:
    return str(settings.get("_target_", "")).rpartition(".")[2].removesuffix("Choice").lower()


def stop_text(settings: dict[str, Any]) -> str:
    """Return the limits of the rule that may end a run early."""
    limits = {k: v for k, v in settings.items() if k != "_target_" and v is not None}
    return ", ".join(f"{name}={limit}" for name, limit in limits.items()) or "none"


def needs(objective: Objective, workers: int) -> str:
    """Return what the evaluations need of the machine, and what this one has."""
    one = objective.resources
    here = f"this machine has {len(os.sched_getaffinity(0))} cores"
    if one.whole_host:
        whole = f"the whole host, {one.gpus} GPUs and {one.cores} cores"
        return f"an evaluation uses {whole}; {here}"
    total = f"{workers * one.gpus} GPUs and {workers * one.cores} cores"
    return f"{one.gpus} GPUs and {one.cores} cores per evaluation, {total} in total; {here}"


def time_text(
    left: float, seconds: float | None, source: str, workers: int, limit_s: float | None
) -> str:
    """Return the estimated time of the evaluations that are left."""
    if seconds is None:
        most = "" if limit_s is None else f"; at most {duration(left * limit_s / workers)} by "
        return source + (most and f"{most}evaluation_timeout_s={limit_s:g}")
    each = f"{left:g} x {duration(seconds)} ({source}), {workers} at once"
    return f"about {duration(left * seconds / workers)}: {each}; the optimizer's own time is extra"


def disk_text(folder: Path, left: float, outlook: Outlook, workers: int) -> str:
    """Return the disk space that is needed and that is free."""
    free = shutil.disk_usage(_existing(folder)).free / _GIB
    logs = f"the log {left * LOG_BYTES / 1e6:.2g} MB"
    known = (
        "" if outlook.disk_gib is None else f" and {outlook.disk_gib * workers:.2g} GiB beside it"
    )
    return f"{logs}{known}; {free:.1f} GiB are free"


def folder_faults(folder: Path) -> list[str]:
    """Return why the folder of a run, or of a sweep, could not be written."""
    above = _existing(folder)
    if not above.is_dir():
        return [f"out: expected a folder, got the file {above}"]
    if not os.access(above, os.W_OK):
        return [f"out: expected a folder that can be written, got {folder}"]
    if shutil.disk_usage(above).free < _LEAST_FREE_GIB * _GIB:
        return [
            f"out: expected at least {_LEAST_FREE_GIB:g} GiB of free space, got less in {above}"
        ]
    return []


def _existing(folder: Path) -> Path:
    """Return the folder, or the closest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
