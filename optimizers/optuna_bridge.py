"""Any of Optuna's samplers by its ask and tell, on the typed space.

`conf/optimizer/tpe.yaml` is this bridge with TPESampler: the tree-structured Parzen estimator of
Bergstra et al., NeurIPS 2011, with the settings that Watanabe, arXiv 2304.11127, recommends.

Conditions are define-by-run: parents are suggested first, children where they are active.
Ordinals are suggested by their place, so that the sampler knows their order; constants are
not suggested.

Departures:
- A forbidden combination is told to the study as failed and asked again, at most 100 times;
  then a random allowed configuration is taken.
- An ungraded failure is told as the worst value so far, so that its neighbourhood is avoided;
  before there is any value, as a failed trial, which samplers ignore.
- A configuration that the study never asked (a replay that drifted) is added to it.
"""

import inspect
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
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

from objectives.space import UnitCube, plain
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw

_TRIES = 100  # asks for a configuration that is not forbidden


class OptunaBridge(Optimizer):
    """Asks one of Optuna's samplers, kept in memory.

    Args:
        sampler: name of a class in `optuna.samplers`.
        options: its keyword arguments; the seed comes from `seed`.

    Raises:
        ValueError: there is no such sampler, or it does not take the options.
    """

    def __init__(
        self, space: ConfigurationSpace, *, seed: int, sampler: str, options: Mapping[str, Any]
    ) -> None:
        super().__init__(space, seed=seed)
        self._rng = np.random.default_rng(seed)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(sampler=_sampler(sampler, options, self._rng))
        # Samplers that exhaust a grid stop the study, which Optuna allows within optimize() only.
        self._study.stop = self._stop
        self._stopped = False
        self._cube = UnitCube(space)
        self._distributions = {
            name: distribution
            for name in space
            if (distribution := _distribution(space[name])) is not None
        }
        self._pending: dict[int, tuple[Any, Config]] = {}

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
        value = self._value(evaluation)
        learnt = evaluation.value is not None or self._worst is not None
        state = TrialState.COMPLETE if learnt else TrialState.FAIL
        if asked is not None and config == trial.config:
            self._study.tell(asked, value if learnt else None, state=state)
            return
        if asked is not None:
            self._study.tell(asked, state=TrialState.FAIL)
        self._add(trial.config, state, value if learnt else None)

    def _add(self, config: Config, state: Any, value: float | None) -> None:
        """Tell the study a configuration that it did not ask."""
        distributions = {
            name: distribution
            for name, distribution in self._distributions.items()
            if name in config
        }
        params = {name: self._optuna_value(name, config[name]) for name in distributions}
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state, value=value, params=params, distributions=distributions
            )
        )

    def _next(self) -> tuple[Any, Config]:
        """Return Optuna's trial and its allowed configuration; None where it is not Optuna's."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            for _ in range(_TRIES):
                asked = self._study.ask()
                config = self._suggest(asked)
                if self._cube.allows(config):
                    return asked, config
                self._study.tell(asked, state=TrialState.FAIL)
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
        """Return a value as Optuna holds it: the place of an ordinal, else the value."""
        parameter = self.space[name]
        if isinstance(parameter, OrdinalHyperparameter):
            return list(parameter.sequence).index(value)
        return value

    def _stop(self) -> None:
        self._stopped = True


def _distribution(parameter: Any) -> Any:
    """Return Optuna's distribution of a parameter, None where there is nothing to choose."""
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
    """Build a sampler by the name of its class, seeded where it takes a seed."""
    known = {
        key: value
        for key, value in vars(optuna.samplers).items()
        if inspect.isclass(value)
        and issubclass(value, optuna.samplers.BaseSampler)
        and not inspect.isabstract(value)
    }
    if name not in known:
        close = get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"optuna.sampler: expected one of {sorted(known)}, got {name}{hint}")
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
