"""From composed settings to a run: what `tuneoff run` does once Hydra has read its arguments."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.running.display import ProgressBar, summary
from experiments.running.executors.choice import check_timeout
from experiments.running.history import History
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import RunLog
from experiments.running.settings import path as as_path
from experiments.running.tracking import BACKENDS, Tracker, mlflow_client

_progress: dict[str, str] = {}  # what an interrupt says: filled as far as the run got


def run_one(settings: DictConfig) -> None:
    """Run what the composed settings describe, resuming where its log ends.

    Raises:
        ValueError, OSError, HydraException: something that the user can mend; see `mistakes`.
    """
    check_settings(settings)
    check_finite(_plain(settings, True))
    if settings.out is not None:
        as_path("out", settings.out)
    run = Run(_run_settings(settings), executor=instantiate(settings.executor))
    folder = _folder(settings, run)
    path = folder / "log.jsonl"
    earlier = run.history(folder)
    if run.is_finished(earlier):
        print(f"finished before: {len(earlier.evaluations)} evaluations, nothing to do")
        print(summary(earlier, path))
        return
    client = mlflow_client() if settings.tracking == "mlflow" else None
    with run.open(folder) as log:
        _say(log, earlier)
        shown = None if settings.progress == "auto" else settings.progress
        bar = ProgressBar(log.history, run.header.budget, shown)
        tracker = None if client is None else Tracker(client, log)

        def watch(log: RunLog) -> None:
            bar(log)
            if tracker is not None:
                tracker(log)

        try:
            run.execute(log, watch)
        finally:
            bar.close()
            if tracker is not None:
                tracker.end(log)
        print(summary(log.history, path))
        if settings.plot:
            from experiments.running.convergence import draw  # matplotlib takes half a second

            draw(log.history, folder / "convergence.png")
            print(f"  picture    {folder / 'convergence.png'}")


def _say(log: RunLog, earlier: History) -> None:
    """Say which data are used, and what the log already held."""
    _progress["path"] = str(log.path)
    header = log.history.header
    if header is not None and header.notice:
        print(f"note: {header.notice}", flush=True)
    if earlier.header is not None:
        print(f"resuming after {len(earlier.evaluations)} evaluations: {log.path}", flush=True)


LARGEST_BUDGET = 1e9  # designs that are made for their budget are held in memory
LARGEST_SEED = 2**32 - 1  # what every library accepts
MOST_WORKERS = 1024


def check_settings(settings: DictConfig) -> None:
    """Raise `ValueError` on what no run can have."""
    budget = settings.budget
    if not _is_number(budget) or budget <= 0:
        raise ValueError(f"budget: expected a positive number of evaluations, got {budget!r}")
    if budget > LARGEST_BUDGET:
        raise ValueError(f"budget: expected at most {LARGEST_BUDGET:g} evaluations, got {budget!r}")
    for key, least, most in (("seed", 0, LARGEST_SEED), ("workers", 1, MOST_WORKERS)):
        value = settings[key]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(
                f"{key}: expected an integer of at least {least} and at most {most}, got {value!r}"
            )
    check_timeout(settings.get("evaluation_timeout_s"))
    if settings.progress not in ("auto", True, False):
        raise ValueError(f"progress: expected auto, true or false, got {settings.progress}")
    if settings.tracking not in BACKENDS:
        expected = ", ".join(BACKENDS)
        raise ValueError(f"tracking: expected one of {expected}, got {settings.tracking}")
    if not isinstance(settings.plot, bool):
        raise ValueError(f"plot: expected true or false, got {settings.plot}")


def check_finite(settings: Any) -> None:
    """Raise `ValueError` where plain settings hold a number that no log could hold."""
    for where, value in _leaves(settings, ""):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{where}: expected a finite number, got {value}")


def _leaves(settings: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested settings by their dotted keys."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield from _leaves(value, f"{where}.{key}" if where else str(key))
    elif isinstance(settings, list):
        for place, value in enumerate(settings):
            yield from _leaves(value, f"{where}[{place}]")
    else:
        yield where, settings


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _run_settings(settings: DictConfig) -> RunSettings:
    """Return the composed settings as plain values."""
    choices = HydraConfig.get().runtime.choices
    resolved, as_written = _plain(settings, True), _plain(settings, False)
    return RunSettings(
        names={family: str(choices[family]) for family in ("optimizer", "objective")},
        optimizer=resolved["optimizer"],
        objective=resolved["objective"],
        seed=resolved["seed"],
        budget=float(resolved["budget"]),
        workers=resolved["workers"],
        optimizer_as_written=as_written["optimizer"],
        evaluation_timeout_s=resolved["evaluation_timeout_s"],
    )


def _plain(settings: DictConfig, resolve: bool) -> dict[str, Any]:
    plain = OmegaConf.to_container(settings, resolve=resolve)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _folder(settings: DictConfig, run: Run) -> Path:
    if settings.out is not None:
        return as_path("out", settings.out)
    return Path("results") / run.folder_name


def interrupted(command: str) -> str:
    """Say what is safe and how to go on.

    Args:
        command: what was typed.
    """
    if "path" not in _progress:
        return "interrupted before the first evaluation; nothing was lost"
    return f"interrupted: all evaluations are in {_progress['path']}; resume with: {command}"
