"""Functions that create optimizers and objectives from their YAML files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ConfigSpace import ConfigurationSpace
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf

from experiments.running.composing import composed, use_config_dirs
from experiments.running.making import Problem, make_optimizer, with_scalarisation
from experiments.testing.conversation import FIDELITIES, earlier_tasks
from objectives.objective import Objective
from objectives.trial import Goal, Limit
from optimizers.optimizer import Optimizer

GOALS = {"loss": Goal(minimise=True)}


class MakeOptimizer(Protocol):
    """A function that creates a fresh optimizer."""

    def __call__(self, space: ConfigurationSpace, seed: int, budget: int) -> Optimizer:
        """Return an optimizer that has not been asked for a trial."""


class MakeObjective(Protocol):
    """A function that creates an objective; every call returns an equal one."""

    def __call__(self) -> Objective:
        """Return the objective."""


@dataclass(frozen=True)
class OptimizerYaml:
    """Creates the optimizer of a YAML file.

    Attributes:
        name: the name of the file in conf/optimizer/, or in optimizer/ in one of `config_dirs`.
        settings: settings such as `variant=published`.
        config_dirs: folders with the user's YAML files.
        goals: the goals of its problem by metric; none: one goal.
        limits: the limits of its problem by metric.
        n_earlier: the number of earlier tasks that it is given.
        scalarise: the scalarisation under which it searches several goals or limits; None: none.
    """

    name: str
    settings: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = ()
    goals: tuple[tuple[str, Goal], ...] = ()
    limits: tuple[tuple[str, Limit], ...] = ()
    n_earlier: int = 0
    scalarise: str | None = None

    @property
    def is_slow(self) -> bool:
        """Whether the class declares that an ask takes long."""
        return bool(getattr(get_object(_optimizer_settings(self, 1)["_target_"]), "slow", False))

    def settings_for(self, budget: int) -> dict[str, Any]:
        """Return the resolved settings, with their `_target_`."""
        return _optimizer_settings(self, budget)

    def __call__(self, space: ConfigurationSpace, seed: int, budget: int) -> Optimizer:
        """Return the optimizer, which receives goals, limits and fidelities if it takes them.

        Raises:
            ValueError: the YAML file does not name an optimizer, or it does not handle the
                problem.
        """
        known = dict(self.goals) if self.goals else GOALS
        earlier = earlier_tasks(space, self.n_earlier)
        problem = Problem(space, FIDELITIES, known, dict(self.limits), earlier)
        settings = with_scalarisation(_optimizer_settings(self, budget), self.scalarise)
        return make_optimizer(settings, problem, seed)


@dataclass(frozen=True)
class ObjectiveYaml:
    """Creates the objective of a YAML file; the attributes are those of `OptimizerYaml`."""

    name: str
    settings: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = ()

    def plain_settings(self) -> dict[str, Any]:
        """Return the resolved settings, with their `_target_`."""
        return _objective_settings(self)

    def __call__(self) -> Objective:
        """Return the objective.

        Raises:
            TypeError: the YAML file does not name an objective.
        """
        objective = instantiate(self.plain_settings(), _convert_="all")
        if not isinstance(objective, Objective):
            raise TypeError(f"{self.name}: expected an Objective, got {type(objective).__name__}")
        return objective


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
