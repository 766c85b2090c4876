"""Simultaneous optimistic optimization (SOO).

R. Munos, *Optimistic optimization of a deterministic function without the knowledge of its
smoothness*, NeurIPS 2011, its SOO. The paper maximises; here scores are minimised.

Notation: K `k`, children per split; h a depth, 0 at the root; a sweep visits the depths from
the root down and expands at most one leaf of each; nu_max `_bar`, the best score expanded so
far in the sweep; h_max, the greatest depth that a cell may have.

The paper leaves open whether a leaf made in a sweep may be expanded in the same sweep:

- `v2`: yes, down to the depth that the tree had when the sweep began, and only where its score
  is strictly better than nu_max (an inherited score is not expanded twice in a sweep). No
  h_max. The best ranked at small budgets.
- `official`: the authors' released code (Valko, Carpentier, Munos, ICML 2013, type 'det'): no;
  score at least as good as nu_max; h_max = ceil(sqrt(budget)) with the root at depth 1. A leaf
  at h_max is neither expanded nor enters nu_max, so a very small budget may not be spent.

A third, `published`, has its own module (`optimizers/published_soo.py`); `build` chooses.

Departures: the budget may end within a sweep. Centres that mean one configuration (integers,
choices) share its evaluation. A failure without a graded penalty, and a forbidden combination,
which is not evaluated at all, score infinity.

Asked for more trials than the leaves that are known call for, `v2` goes on with what it knows, so
that no worker is idle: at a depth it takes the best leaf that is known; where none is, leaves whose
evaluation is pending hold their parent's score, are expanded by it, and do not enter nu_max. Asked
for one trial at a time, each told before the next, nothing is ever pending and the sequence is the
paper's. `official` waits instead: it offers a whole sweep at once, and its trials and ids depend
neither on n nor on the order of the tells.
"""

import math
from collections import deque
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives.space import UnitCube
from objectives.trial import Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.partition import Cell, Centre, Partition
from optimizers.published_soo import PublishedSOO

_VARIANTS = ("v2", "official")


def build(
    space: ConfigurationSpace, *, seed: int, k: int, variant: str, **settings: Any
) -> Optimizer:
    """Return `SOO`, or for `published` the study's `optimizers.published_soo.PublishedSOO`.

    The settings are those of `SOO`; `published` has no other than `k`.

    Raises:
        ValueError: a setting is out of its range.
    """
    if variant == "published":
        return PublishedSOO(space, seed=seed, k=k)
    if variant not in _VARIANTS:
        known = [*_VARIANTS, "published"]
        raise ValueError(f"variant: expected one of {known}, got {variant!r}")
    return SOO(space, seed=seed, k=k, variant=variant, **settings)


class SOO(Optimizer):
    """Split the best leaf of each depth, if it beats those expanded above it.

    Args:
        k: children per split, odd.
        variant: `v2` or `official`, see the module.
        budget: evaluations that the run may spend; only `official` depends on it.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self, space: ConfigurationSpace, *, seed: int, k: int, variant: str, budget: float
    ) -> None:
        super().__init__(space, seed=seed)
        if variant not in _VARIANTS:
            raise ValueError(f"variant: expected one of {list(_VARIANTS)}, got {variant!r}")
        if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not budget > 0:
            raise ValueError(f"budget: expected a positive number, got {budget!r}")
        self._cube = UnitCube(space)
        self._tree = Partition(self._cube, k)
        self._official = variant == "official"
        self.extendable = not self._official
        # The root is at depth 1 there and a child's depth must not pass h_max.
        self._deepest_split = math.ceil(math.sqrt(budget)) - 2 if self._official else math.inf
        self._queue: deque[Centre] = deque()  # to be asked
        self._in_flight: dict[int, Centre] = {}  # asked and not told, by trial id
        self._sweep = 0
        self._bar: float | None = None  # nu_max; None: nothing was expanded in this sweep
        self._depth = 0  # where the sweep stands
        self._last_depth = -1  # where it ends
        self._evaluate(self._tree.plant().centre, guess=0.0)

    def ask(self, n: int = 1) -> list[Trial]:
        trials: list[Trial] = []
        while len(trials) < n and (self._queue or self._advance()):
            centre = self._queue.popleft()
            if centre.value is not None:
                continue  # told meanwhile, under an id that was not asked here
            trial = self._trial(centre.config)
            self._in_flight[trial.id] = centre
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        value = self._value(evaluation)
        score = math.inf if evaluation.value is None or math.isnan(value) else value
        centres = [self._in_flight.pop(trial.id, None), self._tree.centre_of(trial.config)]
        for centre in centres:
            if centre is not None:
                centre.value, centre.estimated = score, False

    def _advance(self) -> bool:
        """Go on with the sweep until a trial is queued; return whether one is."""
        while not self._queue:
            if self._depth > self._last_depth and not self._begin_sweep():
                return False
            leaves = self._leaves(self._depth)
            if self._official and any(leaf.centre.value is None for leaf in leaves):
                return False
            best = min(self._eligible(leaves), key=_score_of, default=None)  # the first on ties
            if best is not None and self._clears_bar(_score_of(best)):
                if not self._visit(best):
                    return bool(self._queue)
            self._depth += 1
        return True

    def _eligible(self, leaves: list[Cell]) -> list[Cell]:
        """Return the leaves that are known, or all where none is."""
        return [leaf for leaf in leaves if leaf.centre.value is not None] or leaves

    def _begin_sweep(self) -> bool:
        """Start at the root again; return False where no leaf can be split."""
        depths = [depth for depth, leaves in enumerate(self._tree.leaves) if leaves]
        if not depths or depths[0] > self._deepest_split:
            return False
        self._sweep += 1
        self._bar = None
        self._depth, self._last_depth = depths[0], depths[-1]
        return True

    def _leaves(self, depth: int) -> list[Cell]:
        """Return the leaves that this sweep may expand at a depth."""
        if depth > self._deepest_split or depth >= len(self._tree.leaves):
            return []
        leaves = self._tree.leaves[depth]
        if self._official:
            return [leaf for leaf in leaves if leaf.born < self._sweep]
        return leaves

    def _clears_bar(self, score: float) -> bool:
        if self._bar is None:
            return True
        return score <= self._bar if self._official else score < self._bar

    def _visit(self, leaf: Cell) -> bool:
        """Expand a leaf; return False where it cannot be decided yet."""
        if leaf.centre.value is not None:
            self._bar = leaf.centre.value
        self._score(self._tree.split(leaf, self._sweep), _score_of(leaf))
        return True

    def _score(self, cells: list[Cell], guess: float) -> None:
        """Give new cells their score, or queue what must be evaluated for it."""
        for cell in cells:
            if cell.centre.value is None:
                self._evaluate(cell.centre, guess)

    def _evaluate(self, centre: Centre, guess: float) -> None:
        """Queue a configuration, once; a forbidden one is scored without a trial."""
        if centre.asked:
            return
        centre.asked, centre.value, centre.estimated = True, None, False
        centre.guess = guess
        if self._cube.allows(centre.config):
            self._queue.append(centre)
        else:
            centre.value = math.inf


def _score_of(leaf: Cell) -> float:
    return leaf.centre.guess if leaf.centre.value is None else leaf.centre.value
