"""Bayesian multi-scale optimistic optimization (BaMSOO).

Z. Wang, B. Shakibi, L. Jin, N. de Freitas, *Bayesian Multi-Scale Optimistic Optimization*,
AISTATS 2014. This is SOO (`optimizers/soo.py`, variant v2) on a score g, which is the value or a
bound by a Gaussian process. The paper maximises; here g is minimised, so the paper's UCB is
mean - B_N sd, its LCB is mean + B_N sd, and f+ is `best`, the lowest value told.

For each new child, N <- N + 1. If UCB <= f+, the child is evaluated, g is its value, and it is
added to the data. Otherwise g is its LCB, and it is not added. B_N = sqrt(2 ln(pi^2 N^2 / (6
eta))), where N is `_n_bounds`, the number of bounds computed, so that all bounds hold together with
probability 1 - eta by a union bound. (Other implementations count evaluations or nodes.)

Departures:
- All children of a cell are scored by one call of the posterior, and the hyperparameters are
  learned only every `refit_every` evaluations.
- A middle child inherits its parent's evaluation. If the parent was approximated, the child is
  scored again, and so is any other cell whose centre maps to an approximated configuration.
- The model could exclude all children forever. Therefore the best approximated configuration is
  evaluated after `max_approximations` approximations in a row, which also bounds the tree, and when
  no cell can be split. A child without a finite bound is evaluated, and so are all children until
  the model has two values.
- `resolve: on_expand` evaluates an approximated leaf before it can be expanded, and then selects
  again at its depth. The paper does not do this (`never`).
- The posterior is that of warped values: bounds are computed there and mapped back. Failures enter
  the model as described in `optimizers/targets.py`; until the first success, every child is
  evaluated.
- No parallel BaMSOO is published. If more trials are requested than the known scores determine, the
  sweep continues: a leaf with a pending evaluation has as its score the model's mean at the time of
  its creation (or its parent's score while fewer than two values are told), can be expanded, and
  does not change nu_max. The model contains only values that were told, and N counts every bound,
  so B_N keeps its meaning. With one trial at a time nothing is pending, and the sequence is the
  paper's.
"""

import math
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives import expected
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

    The settings are those of `BaMSOO`; `published` has only the setting `k`.

    Raises:
        ValueError: a setting is out of its range.
    """
    if variant == "published":
        from optimizers.published_bamsoo import PublishedBaMSOO  # BoTorch takes seconds

        return PublishedBaMSOO(space, seed=seed, k=k)
    expected.one_of("optimizer.variant", variant, _VARIANTS)
    return BaMSOO(space, seed=seed, k=k, **settings)


class BaMSOO(SOO):
    """SOO that skips evaluations if the model's bound excludes an improvement.

    Args:
        k: the number of children per split, which must be odd.
        eta: the probability, in (0, 1), that any bound is wrong.
        refit_every: the number of evaluations between two fits of the hyperparameters.
        resolve: `never` or `on_expand`; see the module.
        max_approximations: the largest number of approximations without an evaluation in between.

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
        super().__init__(space, seed=seed, k=k, variant="v2", budget=1)  # v2 ignores the budget
        self._eta = expected.number("optimizer.eta", eta, above=0, below=1)
        self._refit_every = expected.whole("optimizer.refit_every", refit_every, 1)
        self._resolve = expected.one_of("optimizer.resolve", resolve, _RESOLVE)
        self._max_approximations = expected.whole(
            "optimizer.max_approximations", max_approximations, 1
        )
        self._model = GaussianProcess(self._cube)
        self._data: dict[int, tuple[NDArray[np.float64], Evaluation]] = {}  # by trial id
        self._n_conditioned = 0  # number of evaluations in the model
        self._n_learned = -math.inf  # number from which its hyperparameters were learned
        self._n_bounds = 0  # N
        self._n_approximated = 0  # approximations since an evaluation was last requested

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
        """Evaluate the centres whose UCB reaches f+; set the scores of the others to their LCB."""
        self._condition()
        means, deviations = self._model.posterior(
            np.array([self._cube.point(centre.config) for centre in centres])
        )
        counts = np.arange(len(centres)) + self._n_bounds + 1  # N <- N + 1 for each child
        self._n_bounds += len(centres)
        widths = np.array([self._factor(n) for n in counts.tolist()]) * deviations  # B_N sd
        # UCB = mean - B_N sd and LCB = mean + B_N sd, mapped back to natural units.
        lower, upper = self._model.natural(np.array([means - widths, means + widths]))
        finite = np.isfinite(means + widths)
        excluded = finite & (np.where(finite, lower, best) > best)  # not UCB <= f+
        guesses = self._model.natural(means)
        for place, centre in enumerate(centres):
            if excluded[place]:
                centre.value, centre.estimated = float(upper[place]), True  # g = LCB
                self._n_approximated += 1
            else:
                self._evaluate(centre, float(guesses[place]))
        if self._n_approximated >= self._max_approximations and not self._queue:
            self._evaluate_best_approximated()

    def _factor(self, n: int) -> float:
        """Return B_N = sqrt(2 ln(pi^2 N^2 / (6 eta))) for N = n."""
        return math.sqrt(2 * math.log(math.pi**2 * n**2 / (6 * self._eta)))

    def _condition(self) -> None:
        """Fit the model to all evaluations, in the order of their ids."""
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
        """Queue the approximated configuration with the best score; return whether one exists."""
        approximated = [c for c in self._tree.centres.values() if c.estimated]
        if not approximated:
            return False
        best = min(approximated, key=lambda c: math.inf if c.value is None else c.value)
        self._evaluate(best, math.inf if best.value is None else best.value)
        return True
