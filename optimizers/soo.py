"""Simultaneous optimistic optimization (SOO).

R. Munos, *Optimistic optimization of a deterministic function without the knowledge of its
smoothness*, NeurIPS 2011, its SOO. The paper maximises; here scores are minimised.

Notation: K is `k`, the number of children per split; h is a depth, 0 at the root; a sweep visits
the depths from the root downwards and expands at most one leaf at each; nu_max is `_bar`, the best
score expanded so far in the sweep; h_max is the greatest depth that a cell may have.

The paper leaves open whether a leaf made in a sweep may be expanded in the same sweep:

- `v2` allows it, down to the depth that the tree had when the sweep began, and only if the leaf's
  score is strictly better than nu_max, so that an inherited score is not expanded twice in a
  sweep. There is no h_max. This variant ranks best at small budgets.
- `official` is the authors' released code (Valko, Carpentier, Munos, ICML 2013, type 'det'). It
  does not allow it; the score must be at least as good as nu_max; h_max = ceil(sqrt(budget)), with
  the root at depth 1. A leaf at h_max is not expanded and does not change nu_max, so a very small
  budget may not be spent completely.

A third variant, `published`, has its own module (`optimizers/published_soo.py`).

Departures: the budget may end within a sweep. Centres that map to one configuration (integers,
choices) share its evaluation. A failure without a graded penalty scores infinity, and so does a
forbidden combination, which is not evaluated.

If more trials are requested than the known scores determine, `v2` continues with what it knows, so
that no worker is idle. At each depth it takes the best leaf with a known score. If there is none,
it takes leaves with a pending evaluation: these use their parent's score and do not change nu_max.
If each trial is told before the next is asked, nothing is ever pending and the sequence is the
paper's. `official` waits instead: it offers the trials of a whole sweep at once, and its trials and
ids do not depend on n or on the order of the tells.
"""

import math
from collections import deque
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives import expected
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

    The settings are those of `SOO`; `published` has only the setting `k`.

    Raises:
        ValueError: a setting is out of its range.
    """
    if variant == "published":
        return PublishedSOO(space, seed=seed, k=k)
    expected.one_of("optimizer.variant", variant, [*_VARIANTS, "published"])
    return SOO(space, seed=seed, k=k, variant=variant, **settings)


class SOO(Optimizer):
    """Splits the best leaf of each depth if it is better than those expanded above it.

    Args:
        k: the number of children per split, which must be odd.
        variant: `v2` or `official`; see the module.
        budget: the evaluations that the run may spend, on which only `official` depends.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self, space: ConfigurationSpace, *, seed: int, k: int, variant: str, budget: float
    ) -> None:
        super().__init__(space, seed=seed)
        expected.one_of("optimizer.variant", variant, _VARIANTS)
        expected.number("optimizer.budget", budget, above=0)
        self._cube = UnitCube(space)
        self._tree = Partition(self._cube, k)
        self._official = variant == "official"
        self.extendable = not self._official
        # h_max = ceil(sqrt(n)) with the root at depth 1; a child's depth must not exceed h_max.
        self._deepest_split = math.ceil(math.sqrt(budget)) - 2 if self._official else math.inf
        self._queue: deque[Centre] = deque()  # centres to be asked next
        self._in_flight: dict[int, Centre] = {}  # asked but not told, by trial id
        self._sweep = 0
        self._bar: float | None = None  # nu_max; None if nothing was expanded in this sweep
        self._depth = 0  # h, the current depth of the sweep
        self._last_depth = -1  # the depth at which the sweep ends
        self._evaluate(self._tree.plant().centre, guess=0.0)

    def ask(self, n: int = 1) -> list[Trial]:
        trials: list[Trial] = []
        while len(trials) < n and (self._queue or self._advance()):
            centre = self._queue.popleft()
            if centre.value is not None:
                continue  # told in the meantime, under an id that this optimizer did not ask
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
        """Continue the sweep until a trial is queued; return whether one is."""
        while not self._queue:
            if self._depth > self._last_depth and not self._begin_sweep():
                return False
            leaves = self._leaves(self._depth)
            if self._official and any(leaf.centre.value is None for leaf in leaves):
                return False
            # j = argmin f(x_h,i) over the leaves i of depth h; the oldest on ties.
            best = min(self._eligible(leaves), key=_score_of, default=None)
            if best is not None and self._clears_bar(_score_of(best)):
                if not self._visit(best):
                    return bool(self._queue)
            self._depth += 1
        return True

    def _eligible(self, leaves: list[Cell]) -> list[Cell]:
        """Return the leaves with a known score, or all leaves if no score is known."""
        return [leaf for leaf in leaves if leaf.centre.value is not None] or leaves

    def _begin_sweep(self) -> bool:
        """Start a new sweep at the root; return False if no leaf can be split."""
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
        if self._bar is None:  # nu_max = infinity at the beginning of a sweep
            return True
        return score <= self._bar if self._official else score < self._bar

    def _visit(self, leaf: Cell) -> bool:
        """Expand a leaf; return False if this cannot be decided yet."""
        if leaf.centre.value is not None:
            self._bar = leaf.centre.value  # nu_max <- f(x_h,j)
        self._score(self._tree.split(leaf, self._sweep), _score_of(leaf))
        return True

    def _score(self, cells: list[Cell], guess: float) -> None:
        """Set the scores of new cells, or queue the evaluations that they need."""
        for cell in cells:
            if cell.centre.value is None:
                self._evaluate(cell.centre, guess)

    def _evaluate(self, centre: Centre, guess: float) -> None:
        """Queue a configuration once; a forbidden one gets a score without a trial."""
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
