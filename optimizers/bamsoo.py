"""Bayesian multi-scale optimistic optimization (BaMSOO).

Z. Wang, B. Shakibi, L. Jin, N. de Freitas, *Bayesian Multi-Scale Optimistic Optimization*,
AISTATS 2014: SOO (`optimizers/soo.py`, variant v2) on a score g that a Gaussian
process may stand in for. The paper maximises; here g is minimised, so its upper bound UCB is
mean - B_N sd, its LCB is mean + B_N sd, and f+ `best` is the lowest value told.

For each new child: N <- N + 1; where UCB reaches f+ it is evaluated and added to the data,
else its score is its LCB and it is never added. B_N = sqrt(2 ln(pi^2 N^2 / (6 eta))),
where N `_n_bounds` counts the bounds computed: a union bound over them holds with probability
1 - eta. (Others count evaluations, or all nodes.)

Departures:
- Children of one cell are scored by one posterior call, and the hyperparameters are learned
  anew only every `refit_every` evaluations.
- A middle child inherits an evaluation; where its parent was approximated it is scored anew,
  and so is any other cell whose centre means an approximated configuration.
- Guards. The model may rule out every child for ever: after `max_approximations` without an
  evaluation the best approximated configuration is evaluated, which bounds the tree too. It is
  also, once no cell can be split. What has no finite bound is evaluated, as are all children
  before the model has two values.
- `resolve: on_expand` evaluates an approximated leaf before it may be expanded; the choice at
  its depth is then made again. The paper does not (`never`).
- The model's posterior is of warped values: bounds are formed there and mapped back. A failure
  enters it as `optimizers/targets.py` says; while nothing has succeeded every child is evaluated.
- No parallel BaMSOO is published. Asked for more trials than are worth it by what is known, the
  sweep goes on: a leaf whose evaluation is pending is scored by the mean that the model had when it
  was made (by its parent's score while fewer than two values are told), may be expanded, and does
  not enter nu_max. The model holds told values only, nothing made up, and N counts every bound, so
  B_N keeps its meaning. At one trial at a time nothing is pending, and it is the paper's sequence.
"""

import math
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives.trial import Evaluation, Trial
from optimizers.gaussian_process import GaussianProcess
from optimizers.optimizer import Optimizer
from optimizers.partition import Cell, Centre
from optimizers.soo import SOO
from optimizers.targets import learnable, succeeded

_RESOLVE = ("never", "on_expand")
_VARIANTS = ("v2", "published")


def build(
    space: ConfigurationSpace, *, seed: int, k: int, variant: str, **settings: Any
) -> Optimizer:
    """Return `BaMSOO`, or for `published` the study's `PublishedBaMSOO`.

    The settings are those of `BaMSOO`; `published` has no other than `k`.

    Raises:
        ValueError: a setting is out of its range.
    """
    if variant == "published":
        from optimizers.published_bamsoo import PublishedBaMSOO  # BoTorch takes seconds

        return PublishedBaMSOO(space, seed=seed, k=k)
    if variant not in _VARIANTS:
        raise ValueError(f"variant: expected one of {list(_VARIANTS)}, got {variant!r}")
    return BaMSOO(space, seed=seed, k=k, **settings)


class BaMSOO(SOO):
    """SOO that skips the evaluations which the model's upper bound says are not worth it.

    Args:
        k: children per split, odd.
        eta: probability, in (0, 1), that some bound is wrong.
        refit_every: evaluations from one learning of the hyperparameters to the next.
        resolve: `never` or `on_expand`, see the module.
        max_approximations: in a row, without an evaluation.

    Raises:
        ValueError: a setting is out of its range.
    """

    own = True
    version: int = 2  # 1: bounds of a Gaussian process without the warp and the main effects

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        k: int,
        eta: float,
        refit_every: int,
        resolve: str,
        max_approximations: int,
    ) -> None:
        super().__init__(space, seed=seed, k=k, variant="v2", budget=math.inf)
        if isinstance(eta, bool) or not isinstance(eta, (int, float)) or not 0 < eta < 1:
            raise ValueError(f"eta: expected a number between 0 and 1, got {eta!r}")
        if resolve not in _RESOLVE:
            raise ValueError(f"resolve: expected one of {list(_RESOLVE)}, got {resolve!r}")
        self._refit_every = _positive("refit_every", refit_every)
        self._max_approximations = _positive("max_approximations", max_approximations)
        self._eta = eta
        self._resolve = resolve
        self._model = GaussianProcess(self._cube)
        self._data: dict[int, tuple[NDArray[np.float64], Evaluation]] = {}  # by trial id
        self._n_conditioned = 0  # evaluations that the model holds
        self._n_learned = -math.inf  # those that its hyperparameters were learned from
        self._n_bounds = 0  # N
        self._n_approximated = 0  # since the last evaluation was called for

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        super().tell(trial, evaluation)
        self._data[trial.id] = (self._cube.point(trial.config), evaluation)

    def _advance(self) -> bool:
        return super()._advance() or self._evaluate_best_approximated()  # no cell can be split

    def _eligible(self, leaves: list[Cell]) -> list[Cell]:
        return super()._eligible(leaves) if self._resolve == "on_expand" else leaves

    def _visit(self, leaf: Cell) -> bool:
        if leaf.centre.estimated and self._resolve == "on_expand":
            assert leaf.centre.value is not None
            self._evaluate(leaf.centre, leaf.centre.value)
            return False
        return super()._visit(leaf)

    def _score(self, cells: list[Cell], guess: float) -> None:
        centres = {id(cell.centre): cell.centre for cell in cells}.values()
        new = [c for c in centres if c.estimated or (c.value is None and not c.asked)]
        told = [evaluation for _, evaluation in self._data.values()]
        best = min((e.value for e in told if succeeded(e) and e.value is not None), default=None)
        modelled = best is not None and len(self._data) > 1
        bounded = [c for c in new if modelled and self._cube.allows(c.config)]
        for centre in new:
            if centre not in bounded:
                self._evaluate(centre, guess)
        if bounded and best is not None:
            self._bound(bounded, best)

    def _bound(self, centres: list[Centre], best: float) -> None:
        """Evaluate the centres whose UCB reaches f+; the others' score is their LCB."""
        self._condition()
        means, deviations = self._model.posterior(
            np.array([self._cube.point(centre.config) for centre in centres])
        )
        counts = np.arange(len(centres)) + self._n_bounds + 1
        self._n_bounds += len(centres)
        widths = np.array([self._factor(n) for n in counts.tolist()]) * deviations
        lower, upper = self._model.natural(np.array([means - widths, means + widths]))
        finite = np.isfinite(means + widths)
        excluded = finite & (np.where(finite, lower, best) > best)
        guesses = self._model.natural(means)
        for place, centre in enumerate(centres):
            if excluded[place]:
                centre.value, centre.estimated = float(upper[place]), True
                self._n_approximated += 1
            else:
                self._evaluate(centre, float(guesses[place]))
        if self._n_approximated >= self._max_approximations and not self._queue:
            self._evaluate_best_approximated()

    def _factor(self, n: int) -> float:
        """Return B_N of the n-th bound."""
        return math.sqrt(2 * math.log(math.pi**2 * n**2 / (6 * self._eta)))

    def _condition(self) -> None:
        """Let the model know all evaluations, in the order of their ids."""
        n = len(self._data)
        if n == self._n_conditioned:
            return
        data = [self._data[key] for key in sorted(self._data)]
        u = np.array([point for point, _ in data])
        y = learnable([evaluation for _, evaluation in data])
        refit = n - self._n_learned >= self._refit_every
        self._model.fit(u, y, refit=refit)
        self._n_conditioned = n
        self._n_learned = n if refit else self._n_learned

    def _evaluate(self, centre: Centre, guess: float) -> None:
        super()._evaluate(centre, guess)
        self._n_approximated = 0

    def _evaluate_best_approximated(self) -> bool:
        """Queue the approximated configuration of the best score; return whether there is one."""
        approximated = [c for c in self._tree.centres.values() if c.estimated]
        if not approximated:
            return False
        best = min(approximated, key=lambda c: math.inf if c.value is None else c.value)
        self._evaluate(best, math.inf if best.value is None else best.value)
        return True


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: expected a positive integer, got {value!r}")
    return value
