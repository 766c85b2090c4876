"""One run, as `run.py` and the sweep make it: its description, what its log holds, the run.

The description of a run is the header of its log, without the time.
"""

import time
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from experiments.running import provenance
from experiments.running.executors.evaluator import Evaluator, InlineEvaluator, ProcessEvaluator
from experiments.running.run_log import FORMAT, Event, History, RunLog, read
from experiments.running.runner import Watch, run
from objectives.objective import Objective
from optimizers.optimizer import Optimizer


def describe(
    settings: dict[str, Any],
    optimizer_as_written: Any,
    names: dict[str, str],
    objective: Objective,
) -> Event:
    """Return the header of a run's log.

    Args:
        settings: optimizer, objective, seed, budget and workers, resolved.
        optimizer_as_written: the optimizer's settings unresolved: `${budget}` is no identity.
        names: of the two YAML files.
        objective: the instance of the settings.
    """
    fingerprint = {"version": objective.version, **objective.fingerprint()}
    identity = {
        "optimizer": optimizer_as_written,
        "objective": settings["objective"],
        "seed": settings["seed"],
        "fingerprint": fingerprint,
    }
    return {
        "event": "header",
        "format": FORMAT,
        "identity": provenance.digest(identity),
        "names": names,
        "optimizer": settings["optimizer"],
        "objective": settings["objective"],
        "seed": settings["seed"],
        "budget": float(settings["budget"]),
        "workers": settings["workers"],
        "metric": objective.metric,
        "notice": objective.notice(),
        "optimum": None if objective.optimum is None else float(objective.optimum),
        "fingerprint": fingerprint,
        "code": provenance.code(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
    }


def folder_name(header: Event) -> Path:
    """Return the folder of a run below the folder of results: named after its identity."""
    names: dict[str, str] = header["names"]
    run_name = f"seed{header['seed']}-{header['identity'][:8]}"
    return Path(names["objective"]) / names["optimizer"] / run_name


def logged(header: Event, folder: Path) -> History:
    """Return what the run's log holds so far.

    Raises:
        ValueError: it is the log of another run, or damaged.
        OSError: it cannot be read.
    """
    path = folder / "log.jsonl"
    earlier = read(path) if path.exists() else History()
    if earlier.header is not None:
        check_same(earlier.header, header, path)
    return earlier


def is_finished(earlier: History, budget: float) -> bool:
    """Tell whether a log has all that the budget pays for."""
    return earlier.ended and budget <= earlier.budget


def new_optimizer(header: Event, objective: Objective, earlier: History) -> Optimizer:
    """Return the run's optimizer, which has asked nothing yet.

    Raises:
        ValueError: the log was written under another budget, which made the design.
    """
    optimizer: Optimizer = instantiate(
        header["optimizer"], space=objective.space, seed=header["seed"], _convert_="all"
    )
    if earlier.header is not None and not optimizer.extendable:
        _check_design(earlier.header, header["budget"])
    return optimizer


def open_log(log: RunLog, header: Event) -> None:
    """Write the header into an empty log, or the larger budget into one that goes on."""
    history, budget = log.history, header["budget"]
    if history.header is None:
        log.append({**header, "time": time.time()})
    elif budget > history.budget:
        log.append({"event": "extend", "budget": budget, "time": time.time()})


def carry_out(
    header: Event, optimizer: Optimizer, objective: Objective, log: RunLog, watch: Watch
) -> None:
    """Run to the end of the budget, going on where the log ends."""
    workers = header["workers"]
    evaluator: Evaluator = InlineEvaluator(objective)
    if workers > 1:
        evaluator = ProcessEvaluator(objective, workers)
    try:
        run(optimizer, objective, header["budget"], log, evaluator, workers, watch)
    finally:
        evaluator.close()


def _check_design(logged: Event, budget: float) -> None:
    """Raise unless the budget is the one that the design was made for."""
    if budget != logged["budget"]:
        raise ValueError(
            f"budget: expected {logged['budget']:g}, as the design of "
            f"{logged['names']['optimizer']} was made for it and cannot be extended, got "
            f"{budget:g}; give another out="
        )


def check_same(logged: Event, now: Event, path: Path) -> None:
    """Raise unless the log is one of the run that was asked for."""
    for key in ("seed", "objective", "optimizer", "fingerprint"):
        found = difference(key, logged[key], now[key])
        if found is not None and logged["identity"] != now["identity"]:
            raise ValueError(f"{path}: {found}; give another out=, or the log's own settings")
    release = [version.split(".")[:2] for version in (_version(logged), _version(now))]
    if release[0] != release[1]:
        raise ValueError(
            f"{path}: expected the code that wrote it, version {_version(logged)}, got "
            f"{_version(now)}; install that version, or give another out="
        )


def _version(header: Event) -> str:
    return str(header["code"]["version"])


def difference(where: str, logged: Any, now: Any) -> str | None:
    """Name the first place where two plain values differ."""
    if isinstance(logged, dict) and isinstance(now, dict):
        for key in [*logged, *(key for key in now if key not in logged)]:
            inner = difference(f"{where}.{key}", logged.get(key), now.get(key))
            if inner is not None:
                return inner
        return None
    return None if logged == now else f"expected {where}={logged} as the log has, got {now}"
