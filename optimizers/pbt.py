"""Population based training: Jaderberg et al., arXiv 1711.09846, Algorithm 1.

A population of configurations is trained together, from one fidelity to the next. After each step,
every member of the worst fifth copies the checkpoint and the configuration of a random member of
the best fifth (exploit: truncation selection, section 4.1.1) and then changes the configuration
(explore). With probability `resample`, a changeable number is drawn anew; otherwise it is
multiplied by 0.8 or 1.2 in natural units and clipped to its bounds. A changeable choice is drawn
anew with the same probability.

The objective declares which parameters may change when training continues from a checkpoint
(`Fidelities.changeable`). All other parameters keep the values of the checkpoint. If no parameter
may change, a copied member would only repeat the same model, so its configuration is drawn anew and
its training starts from the beginning.

Departures: a generation waits for all its members, so that the result does not depend on the number
of workers. When the population has reached full evaluations, a new population begins.
"""

from dataclasses import dataclass

import numpy as np
from ConfigSpace import (
    ConfigurationSpace,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.optimizer import Optimizer

_FACTORS = (0.8, 1.2)
_TRIES = 100  # the largest number of perturbations that are tried until one is allowed


@dataclass
class Member:
    """One configuration of the population at one fidelity.

    Attributes:
        config: the configuration.
        resumes: the trial whose checkpoint it continues, or None.
        id: the id of its trial; None before it is asked.
        value: the value of its evaluation; infinite if it failed, None before it is told.
    """

    config: Config
    resumes: int | None
    id: int | None = None
    value: float | None = None


class PopulationBasedTraining(Optimizer):
    """Trains a population step by step; the worst members continue from the best ones.

    Args:
        fidelities: the fidelities of the objective, which are the steps.
        population: the number of members.
        quantile: the fraction of the population that is replaced, and that is copied from.
        resample: the probability that a parameter is drawn anew instead of being multiplied.

    Raises:
        ValueError: a setting is invalid, or the objective has no fidelities.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        fidelities: Fidelities | None,
        population: int,
        quantile: float,
        resample: float,
    ) -> None:
        super().__init__(space, seed=seed)
        if fidelities is None or len(fidelities.grid) < 2:
            raise ValueError(
                "objective: expected one that offers fidelities, got one with full evaluations "
                "only; population based training needs several fidelities"
            )
        expected.whole("optimizer.population", population, 2)
        expected.number("optimizer.quantile", quantile, least=0, most=0.5)
        expected.number("optimizer.resample", resample, least=0, most=1)
        self._shares, self._resumes = fidelities.grid, fidelities.resumable
        self._cube = UnitCube(space)
        self._axes = [i for i, name in enumerate(self._cube.names) if name in fidelities.changeable]
        self._rng = np.random.default_rng(seed)
        self._size, self._resample = population, resample
        self._n_replaced = max(1, int(quantile * population)) if quantile > 0 else 0
        self._begin()

    def _begin(self) -> None:
        """Draw a new population at the lowest fidelity."""
        self._step = 0
        points = self._cube.draw(self._rng, self._size)
        self._members = [Member(self._cube.config(u), None) for u in points]

    def ask(self, n: int = 1) -> list[Trial]:
        trials = []
        for member in [one for one in self._members if one.id is None][:n]:
            continued = member.resumes if self._resumes else None
            trial = self._trial(member.config, self._shares[self._step], continued)
            member.id = trial.id
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        for member in self._members:
            if member.id == trial.id:
                failed = evaluation.error is not None or evaluation.value is None
                member.value = np.inf if failed or evaluation.value is None else evaluation.value
                member.config = trial.config
        if all(member.value is not None for member in self._members):
            self._advance()

    def _advance(self) -> None:
        """Create the members of the next step (Alg. 1, lines 4 to 10)."""
        self._step += 1
        if self._step == len(self._shares):
            self._begin()
            return
        ranked = sorted(self._members, key=lambda one: (one.value, one.id))
        good = [one for one in ranked[: max(self._n_replaced, 1)] if one.value != np.inf]
        if not good:  # every member failed
            self._begin()
            return
        following = []
        for place, member in enumerate(ranked):
            worst = place >= self._size - self._n_replaced
            if worst or member.value == np.inf:
                source = good[int(self._rng.integers(len(good)))]  # exploit
                following.append(Member(self._explored(source.config), source.id))
            else:
                following.append(Member(member.config, member.id))
        self._members = following

    def _explored(self, config: Config) -> Config:
        """Return the configuration with every changeable parameter drawn anew or multiplied."""
        for _ in range(_TRIES):
            u = self._cube.point(config)
            for axis in self._axes:
                if self._cube.names[axis] not in config:
                    continue
                if self._rng.random() < self._resample:
                    u[axis] = self._rng.random()
                else:
                    u[axis] = self._multiplied(config, axis)
            changed = self._cube.config(u)
            kept = {name: value for name, value in config.items() if name not in self._changeable()}
            if self._cube.allows(changed) and kept.items() <= changed.items():
                return changed
        return config

    def _multiplied(self, config: Config, axis: int) -> float:
        """Return the unit coordinate after multiplying a number by 0.8 or 1.2; choices keep it."""
        name = self._cube.names[axis]
        parameter, value = self.space[name], config[name]
        factor = _FACTORS[int(self._rng.integers(2))]
        if isinstance(parameter, UniformFloatHyperparameter):
            moved: float = min(max(float(value) * factor, parameter.lower), parameter.upper)
        elif isinstance(parameter, UniformIntegerHyperparameter):
            moved = min(max(round(int(value) * factor), parameter.lower), parameter.upper)
        else:
            return float(self._cube.point(config)[axis])
        return float(self._cube.point({**config, name: moved})[axis])

    def _changeable(self) -> set[str]:
        return {self._cube.names[axis] for axis in self._axes}
