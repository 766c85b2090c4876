"""Creation of an objective from the settings in a log, for commands that repeat evaluations.

A log is untrusted data. It names classes without their modules, and only classes that an objective
YAML file names are instantiated. The settings are passed on unchanged, without interpolation.
"""

import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_object

from experiments.running.composing import config_dirs
from experiments.running.identity import UNSET
from experiments.running.making_objective import make_objective
from objectives.objective import Objective


def remake(settings: dict[str, Any]) -> Objective:
    """Return the objective of a header's settings.

    Raises:
        ValueError: the settings name a class that no YAML file in conf/objective names, or they
            contain anything other than classes and plain values.
    """
    return make_objective(with_paths(settings))


def with_paths(settings: Any) -> Any:
    """Return settings in which the `_target_` from the YAML files replaces each `class`."""
    if isinstance(settings, list):
        return [with_paths(value) for value in settings]
    if isinstance(settings, str) and "${" in settings:
        raise ValueError(f"objective: expected plain values, got the interpolation {settings}")
    if not isinstance(settings, dict):
        return settings
    for key in settings:
        if str(key).startswith("_"):
            raise ValueError(f"objective: expected plain settings, got the key {key}")
    rest = {key: with_paths(value) for key, value in settings.items() if key != "class"}
    if "class" not in settings:
        return rest
    known = _classes()
    if settings["class"] not in known:
        raise ValueError(
            f"objective: expected a class that a YAML file in conf/objective names, got "
            f"{settings['class']}"
        )
    target = known[settings["class"]]
    return {"_target_": target, **_unset(target), **rest}


def _unset(target: str) -> dict[str, None]:
    """Return the settings of a class that its header leaves out because they were null."""
    taken = inspect.signature(get_object(target)).parameters
    return {key: None for key in UNSET if key in taken}


def _classes() -> dict[str, str]:
    """Return each `_target_` in our and the user's objective YAML files, by its class name."""
    return _classes_of(tuple(reversed(config_dirs())))  # the user's files take precedence


@cache
def _classes_of(folders: tuple[Path, ...]) -> dict[str, str]:
    files = [file for folder in folders for file in sorted((folder / "objective").rglob("*.yaml"))]
    return {
        target.rpartition(".")[2]: target for file in files for target in _targets(_settings(file))
    }


def _settings(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def _targets(settings: Any) -> Iterator[str]:
    values = settings.values() if isinstance(settings, dict) else settings
    if isinstance(settings, dict) and isinstance(settings.get("_target_"), str):
        yield settings["_target_"]
    if isinstance(settings, (dict, list)):
        for value in values:
            yield from _targets(value)
