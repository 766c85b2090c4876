"""A bridge to any of Optuna's samplers, through Optuna's ask and tell, on the typed space.

`conf/optimizer/tpe.yaml` is this bridge with TPESampler: the tree-structured Parzen estimator of
Bergstra et al., NeurIPS 2011, with the settings that Watanabe, arXiv 2304.11127, recommends.

Conditions use Optuna's define-by-run interface: parents are suggested first, and children only if
they are active. An ordinal is suggested by its index, so that the sampler knows the order of its
values. Constants are not suggested.

Departures:
- A forbidden combination is reported to the study as failed, and another one is requested. After
  100 such attempts, a random allowed configuration is used.
- A failure without a penalty is told as the worst value so far, so that its neighbourhood is
  avoided. If there is no value yet, it is told as a failed trial, which samplers ignore.
- A configuration that the study did not propose (in a replay that drifted) is added to the study.

Several goals are the study's objectives, all minimised. A failure is told as the worst number of
each goal so far, and exceeds it by its grade if it has a penalty (`goal_targets.py`). The excess
of a limit is a constraint of the study; a failure has the largest excess so far.

Earlier tasks are completed trials of the study, see `optimizers/optuna_earlier.py`.
"""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformIntegerHyperparameter,
)
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from objectives import expected
from objectives.space import UnitCube, plain
from objectives.trial import Config, EarlierTask, Evaluation, Goal, Limit, Trial
from optimizers.goal_targets import ToldGoals
from optimizers.optimizer import Optimizer
from optimizers.optuna_earlier import SAMPLERS, StudyWithEarlier
from optimizers.random_search import draw

_TRIES = 100  # the largest number of attempts to obtain an allowed configuration


class OptunaBridge(Optimizer):
    """Proposes the configurations of one of Optuna's samplers, with a study in memory.

    Args:
        sampler: the name of a class in `optuna.samplers`.
        options: the keyword arguments of the class, except the seed, which is derived from `seed`.
        goals: the goals by metric; with fewer than two, the value is minimised.
        limits: the limits by metric.
        transfer: earlier tasks.

    Raises:
        ValueError: the sampler does not exist, it does not accept the options, or it does not
            handle several goals, limits or earlier tasks.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        sampler: str,
        options: Mapping[str, Any],
        goals: Mapping[str, Goal] | None = None,
        limits: Mapping[str, Limit] | None = None,
        transfer: Sequence[EarlierTask] = (),
    ) -> None:
        super().__init__(space, seed=seed)
        self._rng = np.random.default_rng(seed)
        self._told = ToldGoals(goals or {}, limits or {})
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._sampler = sampler
        instance = _sampler(sampler, options, self._rng)
        _check_takes(sampler, options, len(goals or ()), bool(limits))
        self._study = optuna.create_study(
            sampler=instance, directions=["minimize"] * self._told.n_values
        )
        # A sampler that has exhausted its grid stops the study, which Optuna allows only inside
        # optimize().
        self._study.stop = self._stop
        self._stopped = False
        self._cube = UnitCube(space)
        self._distributions = {
            name: distribution
            for name in space
            if (distribution := _distribution(space[name])) is not None
        }
        self._pending: dict[int, tuple[Any, Config]] = {}
        self._earlier: StudyWithEarlier | None = None
        self._is_stale = True  # whether the study lacks what was told
        if transfer:
            _check_learns(sampler)
            self._earlier = StudyWithEarlier(instance, self._frozen, transfer)

    def ask(self, n: int = 1) -> list[Trial]:
        trials: list[Trial] = []
        while len(trials) < n and not self._stopped:
            asked, config = self._next()
            trial = self._trial(config)
            self._pending[trial.id] = (asked, config)
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        asked, config = self._pending.pop(trial.id, (None, {}))
        if self._earlier is not None:
            self._earlier.tell(trial.config, evaluation)
            self._is_stale = True
            return
        values, excesses = self._told.learn(evaluation)
        state = TrialState.COMPLETE if values is not None else TrialState.FAIL
        if asked is not None and config == trial.config:
            for name, excess in excesses.items() if values is not None else ():
                asked.set_constraint(name, excess)
            self._study.tell(asked, values, state=state)
            return
        if asked is not None:
            self._study.tell(asked, state=TrialState.FAIL)
        self._add(trial.config, state, values, excesses)

    def _add(
        self,
        config: Config,
        state: Any,
        values: list[float] | None,
        excesses: dict[str, float],
    ) -> None:
        """Add a configuration that the study did not propose."""
        self._study.add_trial(self._frozen(config, state, values, excesses))

    def _frozen(
        self,
        config: Config,
        state: Any,
        values: list[float] | None,
        excesses: dict[str, float] | None = None,
    ) -> Any:
        """Return a trial of Optuna's."""
        distributions = {
            name: distribution
            for name, distribution in self._distributions.items()
            if name in config
        }
        params = {name: self._optuna_value(name, config[name]) for name in distributions}
        return optuna.trial.create_trial(
            state=state,
            values=values,
            params=params,
            distributions=distributions,
            constraints=excesses or None,
        )

    def _next(self) -> tuple[Any, Config]:
        """Return Optuna's trial and its configuration; the trial is None for a random one."""
        if self._earlier is not None and self._is_stale:
            self._study = self._earlier.study([config for _, config in self._pending.values()])
            self._is_stale = False
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            for _ in range(_TRIES):
                try:
                    asked = self._study.ask()
                    config = self._suggest(asked)
                except ValueError as error:  # such as a search that needs a finite space
                    raise ValueError(
                        f"optuna.sampler: expected one that can search this space, got "
                        f"{self._sampler}: {error}"
                    ) from None
                if self._cube.allows(config):
                    return asked, config
                self._study.tell(asked, state=TrialState.FAIL)
                if self._cube.listed:  # the nearest combination is told as a trial of its own
                    return None, self._cube.config(self._cube.point(config))
        return None, draw(self._cube, self._rng)

    def _suggest(self, asked: Any) -> Config:
        """Return the configuration that the sampler suggests, parameter by parameter."""
        config: dict[str, Any] = {}
        for name in self.space:  # parents before children
            if self._cube.is_active(name, config):
                config[name] = self._suggest_value(asked, name)
        return plain({name: config[name] for name in self._cube.names if name in config})

    def _suggest_value(self, asked: Any, name: str) -> Any:
        parameter = self.space[name]
        if isinstance(parameter, Constant):
            return parameter.value
        if isinstance(parameter, CategoricalHyperparameter):
            return asked.suggest_categorical(name, list(parameter.choices))
        if isinstance(parameter, OrdinalHyperparameter):
            places = self._distributions[name]
            return parameter.sequence[asked.suggest_int(name, places.low, places.high)]
        bounds = self._distributions[name]
        if isinstance(parameter, UniformIntegerHyperparameter):
            return asked.suggest_int(name, bounds.low, bounds.high, log=bounds.log)
        return asked.suggest_float(name, bounds.low, bounds.high, log=bounds.log)

    def _optuna_value(self, name: str, value: Any) -> Any:
        """Return Optuna's form of a value: the index for an ordinal, otherwise the value itself."""
        parameter = self.space[name]
        if isinstance(parameter, OrdinalHyperparameter):
            return list(parameter.sequence).index(value)
        return value

    def _stop(self) -> None:
        self._stopped = True


def _distribution(parameter: Any) -> Any:
    """Return Optuna's distribution of a parameter, or None if it has only one value."""
    if isinstance(parameter, Constant):
        return None
    if isinstance(parameter, CategoricalHyperparameter):
        return CategoricalDistribution(list(parameter.choices))
    if isinstance(parameter, OrdinalHyperparameter):
        return IntDistribution(0, len(parameter.sequence) - 1)
    if isinstance(parameter, UniformIntegerHyperparameter):
        return IntDistribution(parameter.lower, parameter.upper, log=parameter.log)
    return FloatDistribution(parameter.lower, parameter.upper, log=parameter.log)


def _sampler(name: str, options: Mapping[str, Any], rng: np.random.Generator) -> Any:
    """Create a sampler by the name of its class, with a seed if it accepts one."""
    known = {
        key: value
        for key, value in vars(optuna.samplers).items()
        if inspect.isclass(value)
        and issubclass(value, optuna.samplers.BaseSampler)
        and not inspect.isabstract(value)
    }
    expected.one_of("optuna.sampler", name, sorted(known))
    expected.keyed("optuna.options", options, "arguments by name")
    arguments = dict(options)
    if "seed" in inspect.signature(known[name]).parameters:
        arguments.setdefault("seed", int(rng.integers(2**31)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return known[name](**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"optuna.options: expected arguments of {name}, got {dict(options)}: {error}"
        ) from None


def _check_learns(name: str) -> None:
    """Raise `ValueError` unless a sampler learns from the trials of earlier tasks."""
    if name not in SAMPLERS:
        raise ValueError(
            f"optuna.sampler: expected one that learns from earlier runs ({', '.join(SAMPLERS)}), "
            f"got {name}; or run without transfer"
        )


_INDIFFERENT = ("RandomSampler", "QMCSampler", "GridSampler", "BruteForceSampler")
"""Samplers that learn nothing from an evaluation, so that they accept any limits."""


def _check_takes(name: str, options: Mapping[str, Any], n_goals: int, limited: bool) -> None:
    """Raise `ValueError` unless a sampler handles the number of goals, and any limits."""
    by_class = inspect.signature(getattr(optuna.samplers, name)).parameters
    if limited and "constraints_func" not in by_class and name not in _INDIFFERENT:
        raise ValueError(
            f"optuna.sampler: expected one that takes limits, such as TPESampler, got {name}; or "
            f"run without limits"
        )
    if n_goals < 2:
        return
    trying = _sampler(name, options, np.random.default_rng(0))
    study = optuna.create_study(sampler=trying, directions=["minimize"] * n_goals)
    study.stop = lambda: None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            study.ask({"x": FloatDistribution(0, 1)})
    except ValueError as error:
        if "multi-objective" not in str(error):  # such as a grid without this parameter
            return
        raise ValueError(
            f"optuna.sampler: expected one that takes several goals, such as NSGAIISampler, got "
            f"{name}, which minimises one value"
        ) from None
