"""Optimizers and objectives as their YAML files describe them; each is made when it is called."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ConfigSpace import ConfigurationSpace
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf

from experiments.running.composing import composed, use_config_dirs
from experiments.testing.conversation import FIDELITIES
from objectives.objective import Objective
from objectives.trial import Goal
from optimizers.optimizer import Optimizer

GOALS = {"loss": Goal(minimise=True)}


class MakeOptimizer(Protocol):
    """Makes a fresh optimizer; what is not the same for all of its runs is in the arguments."""

    def __call__(self, space: ConfigurationSpace, seed: int, budget: int) -> Optimizer:
        """Return an optimizer that has asked nothing yet."""


class MakeObjective(Protocol):
    """Makes an objective, the same at every call."""

    def __call__(self) -> Objective:
        """Return the objective."""


@dataclass(frozen=True)
class OptimizerYaml:
    """Makes the optimizer of a YAML file.

    Attributes:
        name: of the YAML below conf/optimizer/, or below optimizer/ in one of `config_dirs`.
        settings: such as `variant=published`.
        config_dirs: folders with YAML files of one's own.
    """

    name: str
    settings: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = ()

    def __call__(self, space: ConfigurationSpace, seed: int, budget: int) -> Optimizer:
        """Return the optimizer; it gets goals and fidelities where it takes them.

        Raises:
            TypeError: the YAML does not name an optimizer.
        """
        settings = _optimizer_settings(self, budget)
        taken = inspect.signature(get_object(settings["_target_"])).parameters
        known = {"fidelities": FIDELITIES, "goals": GOALS}
        told = {key: value for key, value in known.items() if key in taken}
        make = instantiate(settings, space=space, seed=seed, _partial_=True, _convert_="all")
        made = make(**told)
        if not isinstance(made, Optimizer):
            raise TypeError(f"{self.name}: expected an Optimizer, got {type(made).__name__}")
        return made


@dataclass(frozen=True)
class ObjectiveYaml:
    """Makes the objective of a YAML file; the attributes are as those of `OptimizerYaml`."""

    name: str
    settings: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = ()

    def plain_settings(self) -> dict[str, Any]:
        """Return the settings with their `_target_`, resolved."""
        return _objective_settings(self)

    def __call__(self) -> Objective:
        """Return the objective.

        Raises:
            TypeError: the YAML does not name an objective.
        """
        made = instantiate(self.plain_settings(), _convert_="all")
        if not isinstance(made, Objective):
            raise TypeError(f"{self.name}: expected an Objective, got {type(made).__name__}")
        return made


@cache
def _optimizer_settings(yaml: OptimizerYaml, budget: int) -> dict[str, Any]:
    _use(yaml.config_dirs)
    words = [f"optimizer={yaml.name}", f"budget={budget}", "objective=branin"]
    return _plain(composed("config", [*words, *_prefixed("optimizer", yaml.settings)]).optimizer)


@cache
def _objective_settings(yaml: ObjectiveYaml) -> dict[str, Any]:
    _use(yaml.config_dirs)
    words = [f"objective={yaml.name}", *_prefixed("objective", yaml.settings)]
    return _plain(composed("config", words).objective)


def _use(folders: Sequence[Path]) -> None:
    if folders:
        use_config_dirs([folder.resolve() for folder in folders])


def _prefixed(family: str, settings: Sequence[str]) -> list[str]:
    return [f"{family}.{setting}" for setting in settings]


def _plain(node: Any) -> dict[str, Any]:
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
