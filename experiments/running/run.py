"""One run, as `run.py` and the sweep make it: its description, what its log holds, the run.

The description of a run is the header of its log, without the time.
"""

import inspect
import time
from pathlib import Path
from typing import Any

from hydra.utils import get_object, instantiate

from experiments.running import provenance
from experiments.running.executors.evaluator import Evaluator, InlineEvaluator, ProcessEvaluator
from experiments.running.header import Header
from experiments.running.identity import identity, without_paths
from experiments.running.run_log import History, RunLog, read
from experiments.running.runner import Watch, run
from objectives import description
from objectives.objective import Objective
from optimizers.optimizer import Optimizer


def describe(
    settings: dict[str, Any],
    optimizer_as_written: Any,
    names: dict[str, str],
    objective: Objective,
) -> Header:
    """Return the header of a run's log.

    Args:
        settings: optimizer, objective, seed, budget and workers, resolved.
        optimizer_as_written: the optimizer's settings unresolved: `${budget}` is no identity.
        names: of the two YAML files.
        objective: the instance of the settings.
    """
    fingerprint = {"version": objective.version, **objective.fingerprint()}
    version = _version_of(settings["optimizer"], objective, settings["seed"])
    return Header(
        identity=identity(
            names,
            optimizer_as_written,
            settings["objective"],
            settings["seed"],
            settings["workers"],
            version,
            fingerprint,
        ),
        names=names,
        optimizer=without_paths(settings["optimizer"]),
        objective=without_paths(settings["objective"]),
        seed=settings["seed"],
        budget=float(settings["budget"]),
        workers=settings["workers"],
        optimizer_version=version,
        goals=dict(objective.goals),
        space=description.describe(objective.space),
        forbidden=description.forbidden(objective.space),
        fidelities=objective.fidelities,
        resources=objective.resources,
        default=objective.default,
        coco=objective.coco,
        noise_sd=float(objective.noise_sd),
        optimum=None if objective.optimum is None else float(objective.optimum),
        notice=objective.notice(),
        fingerprint=fingerprint,
        code=provenance.code(),
        versions=provenance.versions(),
        hardware=provenance.hardware(),
    )


def make_optimizer(settings: dict[str, Any], objective: Objective, seed: int) -> Optimizer:
    """Return an optimizer that has asked nothing yet.

    It gets the space and the seed, and the goals and fidelities where it takes them.

    Raises:
        ValueError: the settings make no optimizer.
    """
    known = {"fidelities": objective.fidelities, "goals": dict(objective.goals)}
    taken = inspect.signature(get_object(settings["_target_"])).parameters
    told = {name: value for name, value in known.items() if name in taken}
    made = instantiate(settings, space=objective.space, seed=seed, **told, _convert_="all")
    if not isinstance(made, Optimizer):
        raise ValueError(f"optimizer: expected an Optimizer, got {type(made).__name__}")
    return made


def _version_of(settings: dict[str, Any], objective: Objective, seed: int) -> int:
    """Return the version of the optimizer that settings make."""
    target = get_object(settings["_target_"])
    found = target if isinstance(target, type) else make_optimizer(settings, objective, seed)
    return int(getattr(found, "version", 1))


def folder_name(header: Header) -> Path:
    """Return the folder of a run below the folder of results: named after its identity."""
    names = header.names
    run_name = f"seed{header.seed}-{header.identity[:8]}"
    return Path(names["objective"]) / names["optimizer"] / run_name


def logged(header: Header, folder: Path) -> History:
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


def new_optimizer(
    settings: dict[str, Any], header: Header, objective: Objective, earlier: History
) -> Optimizer:
    """Return the run's optimizer, which has asked nothing yet.

    Raises:
        ValueError: the log was written under another budget, which made the design.
    """
    optimizer = make_optimizer(settings, objective, header.seed)
    if earlier.header is not None and not optimizer.extendable:
        _check_design(earlier.header, header.budget)
    return optimizer


def open_log(log: RunLog, header: Header) -> None:
    """Write the header into an empty log, or the larger budget into one that goes on."""
    history, budget = log.history, header.budget
    if history.header is None:
        log.append({**header.to_json(), "time": time.time()})
    elif budget > history.budget:
        log.append({"event": "extend", "budget": budget, "time": time.time()})


def carry_out(
    header: Header, optimizer: Optimizer, objective: Objective, log: RunLog, watch: Watch
) -> None:
    """Run to the end of the budget, going on where the log ends."""
    workers = header.workers
    evaluator: Evaluator = InlineEvaluator(objective)
    if workers > 1:
        evaluator = ProcessEvaluator(objective, workers)
    try:
        run(optimizer, objective, header.budget, log, evaluator, workers, watch)
    finally:
        evaluator.close()


def _check_design(logged: Header, budget: float) -> None:
    """Raise unless the budget is the one that the design was made for."""
    if budget != logged.budget:
        raise ValueError(
            f"budget: expected {logged.budget:g}, as the design of "
            f"{logged.names['optimizer']} was made for it and cannot be extended, got "
            f"{budget:g}; give another out="
        )


_IDENTITY = ("seed", "workers", "objective", "optimizer", "optimizer_version", "fingerprint")


def check_same(logged: Header, now: Header, path: Path) -> None:
    """Raise unless the log is one of the run that was asked for."""
    for key in _IDENTITY:
        found = difference(key, getattr(logged, key), getattr(now, key))
        if found is not None and logged.identity != now.identity:
            raise ValueError(f"{path}: {found}; give another out=, or the log's own settings")
    release = [version.split(".")[:2] for version in (_version(logged), _version(now))]
    if release[0] != release[1]:
        raise ValueError(
            f"{path}: expected the code that wrote it, version {_version(logged)}, got "
            f"{_version(now)}; install that version, or give another out="
        )


def _version(header: Header) -> str:
    return header.code["version"]


def difference(where: str, logged: Any, now: Any) -> str | None:
    """Name the first place where two plain values differ."""
    if isinstance(logged, dict) and isinstance(now, dict):
        for key in [*logged, *(key for key in now if key not in logged)]:
            inner = difference(f"{where}.{key}", logged.get(key), now.get(key))
            if inner is not None:
                return inner
        return None
    return None if logged == now else f"expected {where}={logged} as the log has, got {now}"
