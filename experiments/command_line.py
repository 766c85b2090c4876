"""From composed settings to a run: what `run.py` does once Hydra has read its arguments."""

import math
import re
import shlex
import time
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments import provenance
from experiments.display import ProgressBar, summary
from experiments.evaluator import Evaluator, InlineEvaluator, ProcessEvaluator
from experiments.run_log import FORMAT, Event, History, RunLog, read
from experiments.runner import run
from objectives.objective import Objective
from optimizers.optimizer import Optimizer

_progress: dict[str, str] = {}  # what an interrupt says: filled as far as the run got


def prepare(arguments: list[str]) -> list[str]:
    """Put arguments as Hydra wants them.

    `objective.space.<parameter>.<key>=` may set keys that a YAML does not list, and
    `objective.<part>=` chooses among the YAMLs of `conf/objective/<part>/` where there are such.
    """
    return [_prepared(argument) for argument in arguments]


def _prepared(argument: str) -> str:
    if re.match(r"objective(\.inner)*\.space\.", argument):
        return f"++{argument}"
    part = re.match(r"objective\.(\w+)=(.*)", argument)
    if part and (provenance.ROOT / "conf" / "objective" / part[1]).is_dir():
        return f"objective/{part[1]}@objective={part[2]}"
    return argument


def run_one(settings: DictConfig) -> None:
    """Run what the composed settings describe, resuming where its log ends.

    Raises:
        ValueError, OSError, HydraException: something that the user can mend; see `mistakes`.
    """
    budget, workers = _checked(settings)
    choices = HydraConfig.get().runtime.choices
    names = {family: str(choices[family]) for family in ("optimizer", "objective")}
    objective: Objective = instantiate(settings.objective, _convert_="all")
    header = _header(settings, names, objective)
    folder = _folder(settings, header)
    path = folder / "log.jsonl"
    earlier = read(path) if path.exists() else History()
    if earlier.header is not None:
        _check_same(earlier.header, header, path)
        if earlier.ended and budget <= earlier.budget:
            print(f"finished before: {len(earlier.evaluations)} evaluations, nothing to do")
            print(summary(earlier, path))
            return
    optimizer: Optimizer = instantiate(
        settings.optimizer, space=objective.space, seed=settings.seed, _convert_="all"
    )
    if earlier.header is not None and not optimizer.extendable:
        _check_design(earlier.header, budget)
    with RunLog(folder) as log:
        _open(log, header, budget)
        shown = None if settings.progress == "auto" else settings.progress
        _run(optimizer, objective, budget, log, workers, shown)
        print(summary(log.history, path))
        if settings.plot:
            from experiments.convergence import draw  # matplotlib takes half a second

            draw(log.history, folder / "convergence.png")
            print(f"  picture    {folder / 'convergence.png'}")


def _check_design(logged: Event, budget: float) -> None:
    """Raise unless the budget is the one that the design was made for."""
    if budget != logged["budget"]:
        raise ValueError(
            f"budget: expected {logged['budget']:g}, as the design of "
            f"{logged['names']['optimizer']} was made for it and cannot be extended, got "
            f"{budget:g}; give another out="
        )


def _open(log: RunLog, header: Event, budget: float) -> None:
    """Write the header, or say what the log already holds."""
    history = log.history
    _progress["path"] = str(log.path)
    if header["notice"]:
        print(f"note: {header['notice']}", flush=True)
    if history.header is None:
        log.append(header)
        return
    print(f"resuming after {len(history.evaluations)} evaluations: {log.path}", flush=True)
    if budget > history.budget:
        log.append({"event": "extend", "budget": budget, "time": time.time()})


def _run(
    optimizer: Optimizer,
    objective: Objective,
    budget: float,
    log: RunLog,
    workers: int,
    shown: bool | None,
) -> None:
    bar = ProgressBar(log.history, budget, shown)
    evaluator: Evaluator = InlineEvaluator(objective)
    if workers > 1:
        evaluator = ProcessEvaluator(objective, workers)
    try:
        run(optimizer, objective, budget, log, evaluator, workers, bar)
    finally:
        bar.close()
        evaluator.close()


def _checked(settings: DictConfig) -> tuple[float, int]:
    """Return budget and workers, or raise on what no run can have."""
    budget = settings.budget
    if isinstance(budget, bool) or not isinstance(budget, (int, float)):
        raise ValueError(f"budget: expected a positive number of evaluations, got {budget!r}")
    if not (math.isfinite(budget) and budget > 0):
        raise ValueError(f"budget: expected a positive number of evaluations, got {budget!r}")
    for key, least in (("seed", 0), ("workers", 1)):
        value = settings[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{key}: expected an integer of at least {least}, got {value!r}")
    if settings.progress not in ("auto", True, False):
        raise ValueError(f"progress: expected auto, true or false, got {settings.progress}")
    if not isinstance(settings.plot, bool):
        raise ValueError(f"plot: expected true or false, got {settings.plot}")
    return float(budget), int(settings.workers)


def _header(settings: DictConfig, names: dict[str, str], objective: Objective) -> Event:
    """Return the first event of the log."""
    resolved = OmegaConf.to_container(settings, resolve=True)
    as_written = OmegaConf.to_container(settings, resolve=False)  # `${budget}` is no identity
    assert isinstance(resolved, dict) and isinstance(as_written, dict)
    fingerprint = {"version": objective.version, **objective.fingerprint()}
    identity = {
        "optimizer": as_written["optimizer"],
        "objective": resolved["objective"],
        "seed": resolved["seed"],
        "fingerprint": fingerprint,
    }
    return {
        "event": "header",
        "format": FORMAT,
        "identity": provenance.digest(identity),
        "names": names,
        "optimizer": resolved["optimizer"],
        "objective": resolved["objective"],
        "seed": resolved["seed"],
        "budget": float(resolved["budget"]),
        "workers": resolved["workers"],
        "metric": objective.metric,
        "notice": objective.notice(),
        "fingerprint": fingerprint,
        "code": provenance.code(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
        "time": time.time(),
    }


def _folder(settings: DictConfig, header: Event) -> Path:
    if settings.out is not None:
        return Path(str(settings.out))
    names: dict[str, str] = header["names"]
    run_name = f"seed{header['seed']}-{header['identity'][:8]}"
    return provenance.ROOT / "results" / names["objective"] / names["optimizer"] / run_name


def _check_same(logged: Event, now: Event, path: Path) -> None:
    """Raise unless the log is one of the run that was asked for."""
    for key in ("seed", "objective", "optimizer", "fingerprint"):
        difference = _difference(key, logged[key], now[key])
        if difference is not None and logged["identity"] != now["identity"]:
            raise ValueError(f"{path}: {difference}; give another out=, or the log's own settings")
    release = [version.split(".")[:2] for version in (_version(logged), _version(now))]
    if release[0] != release[1]:
        raise ValueError(
            f"{path}: expected the code that wrote it, version {_version(logged)}, got "
            f"{_version(now)}; install that version, or give another out="
        )


def _version(header: Event) -> str:
    return str(header["code"]["version"])


def _difference(where: str, logged: Any, now: Any) -> str | None:
    """Name the first place where two plain values differ."""
    if isinstance(logged, dict) and isinstance(now, dict):
        for key in [*logged, *(key for key in now if key not in logged)]:
            inner = _difference(f"{where}.{key}", logged.get(key), now.get(key))
            if inner is not None:
                return inner
        return None
    return None if logged == now else f"expected {where}={logged} as the log has, got {now}"


def interrupted(argv: list[str]) -> str:
    """Say what is safe and how to go on."""
    command = shlex.join(["python", *argv]).replace("++objective", "objective")
    if "path" not in _progress:
        return "interrupted before the first evaluation; nothing was lost"
    return f"interrupted: all evaluations are in {_progress['path']}; resume with: {command}"
