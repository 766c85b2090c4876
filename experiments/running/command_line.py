"""From composed settings to a run: what `run.py` does once Hydra has read its arguments."""

import math
import re
import shlex
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.running import provenance
from experiments.running.display import ProgressBar, summary
from experiments.running.header import Header
from experiments.running.run import (
    carry_out,
    describe,
    folder_name,
    is_finished,
    logged,
    new_optimizer,
    open_log,
)
from experiments.running.run_log import RunLog
from experiments.running.tracking import BACKENDS, Tracker, mlflow_client
from experiments.running.whole_descriptions import replacing
from experiments.running.yaml_words import read_words_as_typed
from objectives.objective import Objective

_progress: dict[str, str] = {}  # what an interrupt says: filled as far as the run got


def prepare(arguments: list[str]) -> list[str]:
    """Put arguments as Hydra wants them.

    `objective.space.<parameter>.<key>=` may set keys that a YAML does not list, and
    `objective.<part>=`, or `objective.<place>.<part>=`, chooses among the YAMLs of
    `conf/objective/<part>/` where there are such. A whole description of a parameter replaces
    the old one. From here on, YAML files are read like the arguments.
    """
    read_words_as_typed()
    return replacing([_prepared(argument) for argument in arguments])


def _prepared(argument: str) -> str:
    if re.match(r"objective(\.inner)*\.space\.", argument):
        return f"++{argument}"
    part = re.match(r"objective((?:\.\w+)*)\.(\w+)=(.*)", argument)
    if part and (provenance.ROOT / "conf" / "objective" / part[2]).is_dir():
        return f"objective/{part[2]}@objective{part[1]}={part[3]}"
    return argument


def run_one(settings: DictConfig) -> None:
    """Run what the composed settings describe, resuming where its log ends.

    Raises:
        ValueError, OSError, HydraException: something that the user can mend; see `mistakes`.
    """
    check_settings(settings)
    choices = HydraConfig.get().runtime.choices
    names = {family: str(choices[family]) for family in ("optimizer", "objective")}
    objective: Objective = instantiate(settings.objective, _convert_="all")
    header = _header(settings, names, objective)
    folder = _folder(settings, header)
    path = folder / "log.jsonl"
    earlier = logged(header, folder)
    if is_finished(earlier, header.budget):
        print(f"finished before: {len(earlier.evaluations)} evaluations, nothing to do")
        print(summary(earlier, path))
        return
    plain = OmegaConf.to_container(settings.optimizer, resolve=True)
    assert isinstance(plain, dict)
    optimizer = new_optimizer({str(key): x for key, x in plain.items()}, header, objective, earlier)
    client = mlflow_client() if settings.tracking == "mlflow" else None
    with RunLog(folder) as log:
        _say(log, header)
        open_log(log, header)
        shown = None if settings.progress == "auto" else settings.progress
        bar = ProgressBar(log.history, header.budget, shown)
        tracker = None if client is None else Tracker(client, log)

        def watch(log: RunLog) -> None:
            bar(log)
            if tracker is not None:
                tracker(log)

        try:
            carry_out(header, optimizer, objective, log, watch)
        finally:
            bar.close()
            if tracker is not None:
                tracker.end(log)
        print(summary(log.history, path))
        if settings.plot:
            from experiments.running.convergence import draw  # matplotlib takes half a second

            draw(log.history, folder / "convergence.png")
            print(f"  picture    {folder / 'convergence.png'}")


def _say(log: RunLog, header: Header) -> None:
    """Say which data are used, and what the log already holds."""
    _progress["path"] = str(log.path)
    if header.notice:
        print(f"note: {header.notice}", flush=True)
    if log.history.header is not None:
        print(f"resuming after {len(log.history.evaluations)} evaluations: {log.path}", flush=True)


def check_settings(settings: DictConfig) -> None:
    """Raise `ValueError` on what no run can have."""
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
    if settings.tracking not in BACKENDS:
        expected = ", ".join(BACKENDS)
        raise ValueError(f"tracking: expected one of {expected}, got {settings.tracking}")
    if not isinstance(settings.plot, bool):
        raise ValueError(f"plot: expected true or false, got {settings.plot}")


def _header(settings: DictConfig, names: dict[str, str], objective: Objective) -> Header:
    """Return the first event of the log."""
    resolved = OmegaConf.to_container(settings, resolve=True)
    as_written = OmegaConf.to_container(settings, resolve=False)
    assert isinstance(resolved, dict) and isinstance(as_written, dict)
    plain = {str(key): value for key, value in resolved.items()}
    return describe(plain, as_written["optimizer"], names, objective)


def _folder(settings: DictConfig, header: Header) -> Path:
    if settings.out is not None:
        return Path(str(settings.out))
    return provenance.ROOT / "results" / folder_name(header)


def interrupted(argv: list[str]) -> str:
    """Say what is safe and how to go on."""
    command = shlex.join(["python", *argv]).replace("++objective", "objective")
    if "path" not in _progress:
        return "interrupted before the first evaluation; nothing was lost"
    return f"interrupted: all evaluations are in {_progress['path']}; resume with: {command}"
