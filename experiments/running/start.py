"""The setting `start`: known good configurations that a run evaluates first.

`start=default` is the configuration that an engineer would start from, `start=[{x1: 0.2, x2: 1}]`
lists configurations, and `start=FILE` names a YAML or JSON file with such a list. Any optimizer
then continues with what it learned from them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.running.readers import path as as_path
from objectives.allowed import value_of
from objectives.expected import did_you_mean
from objectives.objective import Objective
from objectives.plain_yaml import read_yaml
from objectives.space import UnitCube, check
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer

DEFAULT = "default"
_EXPECTED = "expected default, a list of configurations such as [{x1: 0.2}], or a YAML file of one"


def start_points(given: Any, objective: Objective) -> list[Config]:
    """Return the configurations that a run evaluates first; an empty list if there are none.

    Parameters that a configuration leaves out have the values of the objective's default.

    Args:
        given: the value of the setting, as plain values.
        objective: the objective, whose space and default are used.

    Raises:
        ValueError: the setting is something else, or a configuration is not in the space.
    """
    if given is None:
        return []
    if given == DEFAULT:
        if objective.default is None:
            raise ValueError(
                "start: expected an objective that states a default configuration, got one that "
                "does not; list the configurations instead, such as start=[{x1: 0.2}]"
            )
        return [dict(objective.default)]
    where = "start"
    if isinstance(given, str):
        where, given = given, _read(given)
    listed = [given] if isinstance(given, Mapping) else given
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"{where}: {_EXPECTED}, got {given!r}")
    return [_config(f"{where}[{i}]", one, objective) for i, one in enumerate(listed)]


def _read(name: str) -> Any:
    """Return the contents of a YAML or JSON file."""
    path: Path = as_path("start", name)
    if not path.is_file():
        why = "which is a folder" if path.is_dir() else "which is not a file"
        raise ValueError(f"start: {_EXPECTED}, got {name}, {why}")
    return read_yaml(path)


def _config(where: str, given: Any, objective: Objective) -> Config:
    """Return one configuration, completed from the default and checked."""
    space = objective.space
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"{where}: expected parameters with their values, got {given!r}")
    unknown = [name for name in given if name not in space]
    if unknown:
        meant = did_you_mean(unknown[0], space)
        raise ValueError(f"{where}: expected parameters of {list(space)}, got {unknown[0]}{meant}")
    for name, value in given.items():
        value_of(f"{where}.{name}", space[name], value)
    cube = UnitCube(space)
    known = {**(objective.default or {}), **given}
    config: Config = {}
    for name in space:  # parents before children
        if name in known and cube.is_active(name, config):
            config[name] = known[name]
    inactive = [name for name in given if name not in config]
    if inactive:
        raise ValueError(f"{where}: expected active parameters only, got {inactive[0]}")
    missing = [name for name in space if cube.is_active(name, config) and name not in config]
    if missing:
        raise ValueError(f"{where}: expected a value of {missing[0]}, got none")
    config = {name: config[name] for name in cube.names if name in config}
    try:
        check(space, config)
    except ValueError as error:
        raise ValueError(f"{where}: {str(error).removeprefix('config: ')}") from None
    if not cube.allows(config):
        raise ValueError(f"{where}: expected an allowed configuration, got {config}")
    return config


class StartPoints(Optimizer):
    """Asks for given configurations, in full evaluations, and then for what an optimizer proposes.

    The optimizer is told the evaluations of the given configurations like its own, so that it
    learns from them. Its own trials are numbered after them. A design such as a Latin hypercube
    is unchanged and begins later.

    Args:
        optimizer: a fresh optimizer that has not been asked for a trial.
        configs: configurations of its space.
    """

    def __init__(self, optimizer: Optimizer, configs: Sequence[Config]) -> None:
        super().__init__(optimizer.space, seed=optimizer.seed)
        self._optimizer = optimizer
        self._waiting = [self._trial(config) for config in configs]
        if self._waiting:
            optimizer.skip(self._waiting[-1].id)
        self.extendable = optimizer.extendable
        self.version = optimizer.version
        self.own = optimizer.own

    def ask(self, n: int = 1) -> list[Trial]:
        self._optimizer.folder = self.folder
        first, self._waiting = self._waiting[:n], self._waiting[n:]
        rest = n - len(first)
        return first + (self._optimizer.ask(rest) if rest > 0 else [])

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        self._optimizer.tell(trial, evaluation)

    def refuse(self, trial: Trial) -> None:
        self._optimizer.refuse(trial)

    def close(self) -> None:
        self._optimizer.close()

    def skip(self, id: int) -> None:
        super().skip(id)
        self._optimizer.skip(id)
