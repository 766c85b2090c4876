"""Freezing: after a share of the budget, any optimizer searches only the important parameters.

After a share of the budget, the importance of every parameter is estimated from the evaluations,
and the unimportant parameters are fixed at the incumbent's values. A fresh optimizer then searches
the smaller space, after it was told all evaluations so far. The estimate is Optuna's PED-ANOVA
(Watanabe, Bansal & Hutter, IJCAI 2023) or fANOVA (Hutter, Hoos & Leyton-Brown, ICML 2014).

Fixed parameters can become free again. Every `explore_every`-th trial thereafter draws the fixed
parameters at random, so that their importance can still be estimated, and every `review_every`
evaluations the decision is repeated with all evaluations. The smallest set of parameters whose
importances add up to the share `keep` stays free.

Restrictions:
- The optimizer in the smaller space is told every evaluation as if it had the fixed values,
although some had other values. It perceives the effect of the fixed parameters as noise, which is
small if they are unimportant.
- Parameters on which others depend by a condition, or that a forbidden clause names, stay free,
  and so do those that are inactive in the incumbent.
- With fewer successes than 8, nothing is fixed.
- The point of the first decision depends on the budget, so the run cannot be extended.
"""

import warnings
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import optuna
from ConfigSpace import ConfigurationSpace, Constant
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.lhs import design_size
from optimizers.optimizer import Optimizer
from optimizers.targets import succeeded, targets

_FEWEST = 8  # with fewer successes, nothing is fixed
_QUANTILE = 0.25  # share of the evaluations that PED-ANOVA compares with all of them
_TRIES = 100  # draws of the fixed parameters for an allowed configuration
EVALUATORS = ("ped_anova", "fanova")


class MakeInner(Protocol):
    """Creates the optimizer that is wrapped."""

    def __call__(self, *, space: ConfigurationSpace, seed: int) -> Optimizer:
        """Return a fresh optimizer of a space."""


class Freeze(Optimizer):
    """Wraps an optimizer and fixes unimportant parameters.

    Args:
        inner: a function that creates the optimizer that is wrapped.
        budget: the budget of the run.
        after: the share of the budget after which the first decision is made.
        review_every: the number of evaluations between two decisions.
        keep: the share of the total importance that stays free, in (0, 1].
        explore_every: after a decision, every k-th trial draws the fixed parameters; 0 means none.
        importance: `ped_anova` or `fanova`.

    Raises:
        ValueError: a setting is out of its range.
    """

    extendable = False
    own = True

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        inner: MakeInner,
        budget: float,
        after: float,
        review_every: int,
        keep: float,
        explore_every: int,
        importance: str,
    ) -> None:
        super().__init__(space, seed=seed)
        _check(after=after, keep=keep)
        _check_counts(review_every, explore_every, importance)
        if not callable(inner):
            raise ValueError(f"freeze.inner: expected an optimizer's settings, got {inner!r}")
        self._make = inner
        self._first_review = after * design_size("freeze", budget)
        self._review_every, self._keep = review_every, keep
        self._explore_every, self._importance = explore_every, importance
        self._cube = UnitCube(space)
        self._freezable = _freezable(space, self._cube)
        self._told: list[tuple[Trial, Evaluation]] = []
        self._fixed: Config = {}
        self._n_made = 0
        self._inner = self._fresh()
        self.version = 1000 * type(self).version + self._inner.version

    @property
    def fixed(self) -> Config:
        """The parameters that are currently fixed, with their values."""
        return dict(self._fixed)

    def ask(self, n: int = 1) -> list[Trial]:
        trials = []
        self._inner.folder = self.folder
        for trial in self._inner.ask(n):
            self.skip(trial.id)
            explores = self._explore_every and trial.id % self._explore_every == 0
            if self._fixed and explores:
                trial = replace(trial, config=self._explored(trial))
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        self._told.append((trial, evaluation))
        self._inner.tell(replace(trial, config=self._projected(trial.config)), evaluation)
        n = len(self._told)
        if n >= self._first_review and (n - int(self._first_review)) % self._review_every == 0:
            self._review()

    def refuse(self, trial: Trial) -> None:
        self._inner.refuse(replace(trial, config=self._projected(trial.config)))

    def skip(self, id: int) -> None:
        super().skip(id)
        self._inner.skip(id)

    def close(self) -> None:
        self._inner.close()

    def _review(self) -> None:
        """Decide again which parameters are fixed; if they change, create a fresh optimizer."""
        fixed = self._decision()
        if fixed == self._fixed:
            return
        self._inner.close()
        self._fixed = fixed
        self._inner = self._fresh()
        for trial, evaluation in self._told:
            self._inner.tell(replace(trial, config=self._projected(trial.config)), evaluation)
        self._inner.skip(self._n_trials - 1)

    def _fresh(self) -> Optimizer:
        """Return a fresh optimizer of the free parameters."""
        seed = int(np.random.default_rng([self.seed, self._n_made]).integers(2**31))
        self._n_made += 1
        space = reduced(self.space, self._fixed) if self._fixed else self.space
        return self._make(space=space, seed=self.seed if self._n_made == 1 else seed)

    def _decision(self) -> Config:
        """Return the parameters to fix; the values of parameters that stay fixed are kept."""
        successes = [i for i, (_, e) in enumerate(self._told) if succeeded(e)]
        if len(successes) < _FEWEST:
            return self._fixed
        values = targets([evaluation for _, evaluation in self._told])
        points = np.array([self._cube.point(trial.config) for trial, _ in self._told])
        shares = importances(points, values, self._importance, self.seed)
        free = _smallest_set(shares, self._keep)
        best = min(successes, key=lambda i: values[i])
        incumbent = self._told[best][0].config
        known = {**incumbent, **self._fixed}
        return {
            name: known[name]
            for axis, name in enumerate(self._cube.names)
            if axis not in free and name in self._freezable and name in incumbent
        }

    def _projected(self, config: Config) -> Config:
        """Return a configuration with the fixed values."""
        return {name: self._fixed.get(name, value) for name, value in config.items()}

    def _explored(self, trial: Trial) -> Config:
        """Return a configuration whose fixed parameters are drawn uniformly."""
        rng = np.random.default_rng([self.seed, trial.id])
        for _ in range(_TRIES):
            drawn = self._cube.config(rng.random(self._cube.dim))
            own = {name: drawn[name] for name in self._fixed if name in drawn}
            config = {name: own.get(name, value) for name, value in trial.config.items()}
            if self._cube.allows(config):
                return config
        return trial.config


def importances(
    points: NDArray[np.float64], values: NDArray[np.float64], evaluator: str, seed: int
) -> NDArray[np.float64]:
    """Return the share (dim,) of each axis in the total importance.

    Args:
        points: unit points (n, dim).
        values: (n,), the smaller the better.
        evaluator: `ped_anova` or `fanova`.
        seed: of fANOVA's forest.
    """
    names = [str(axis) for axis in range(points.shape[1])]
    axes = {name: FloatDistribution(0.0, 1.0) for name in names}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trials(
        [
            optuna.trial.create_trial(
                params=dict(zip(names, point, strict=True)), distributions=axes, value=value
            )
            for point, value in zip(points.tolist(), values.tolist(), strict=True)
        ]
    )
    judge: Any = (
        PedAnovaImportanceEvaluator(target_quantile=_QUANTILE)
        if evaluator == "ped_anova"
        else FanovaImportanceEvaluator(seed=seed % 2**31)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # equal values: all importances are equal
        found = judge.evaluate(study)
    shares = np.nan_to_num(np.array([max(float(found.get(name, 0.0)), 0.0) for name in names]))
    total = float(shares.sum())
    equal = np.full(len(names), 1 / len(names))
    normalised: NDArray[np.float64] = shares / total if total > 0 else equal
    return normalised


def reduced(space: ConfigurationSpace, fixed: Config) -> ConfigurationSpace:
    """Return a space in which the fixed parameters are constants and all else is unchanged.

    Args:
        space: any space.
        fixed: values of parameters on which no condition and no forbidden clause depends.
    """
    new = ConfigurationSpace(meta=dict(space.meta or {"axes": list(space)}))
    new.add(
        [
            Constant(name, fixed[name]) if name in fixed else copy(parameter)
            for name, parameter in space.items()
        ]
    )
    new.add(space.substitute_hyperparameters_in_conditions(space.conditions, new))
    new.add(space.substitute_hyperparameters_in_forbiddens(space.forbidden_clauses, new))
    return new


def _freezable(space: ConfigurationSpace, cube: UnitCube) -> set[str]:
    """Return the parameters on which no condition and no forbidden clause depends."""
    needed = {parent.name for name in space for parent in space.parents_of[name]}
    needed |= set(_names(space.forbidden_clauses))
    several = {name for name, n in zip(cube.names, cube.n_values, strict=True) if n > 1}
    return several - needed


def _names(clauses: Iterable[Any]) -> Iterable[str]:
    """Yield the names of the parameters of forbidden clauses."""
    for clause in clauses:
        if hasattr(clause, "components"):
            yield from _names(clause.components)
        elif hasattr(clause, "left"):
            yield from (clause.left.name, clause.right.name)
        else:
            yield clause.hyperparameter.name


def _smallest_set(shares: NDArray[np.float64], keep: float) -> set[int]:
    """Return the fewest axes whose shares add up to `keep`."""
    order: Sequence[int] = np.argsort(-shares, kind="stable").tolist()
    n = int(np.searchsorted(np.cumsum(shares[order]), keep - 1e-12)) + 1
    return set(order[:n])


def _check(**shares: float) -> None:
    for name, share in shares.items():
        expected.number(f"freeze.{name}", share, above=0, most=1)


def _check_counts(review_every: int, explore_every: int, importance: str) -> None:
    expected.whole("freeze.review_every", review_every, 1)
    expected.whole("freeze.explore_every", explore_every, 0)
    expected.one_of("freeze.importance", importance, EVALUATORS)
