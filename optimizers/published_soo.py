"""SOO as N. Davouse and E-G. Talbi published it: the variant `published` of `soo`.

*Bayesian and Partition-Based Optimization for Hyperparameter Optimization of LLM Fine-Tuning*
(OLA 2025), following the rules of its code, Kiwy3/BO_PBO_HPO_LLM. It serves to replay that study
and is not meant for other use; `optimizers/soo.py` is the algorithm of Munos (2011). The study
maximises, whereas here scores are minimised.

- The box is relaxed and integers are truncated (`optimizers/relaxed_box.py`). The root's centre
  is scored first. A cell is split into K = 3 children along its widest side relative to the full
  range; on ties, the first side is split. The study's floating-point arithmetic is reproduced,
  because it decides the ties.
- A sweep visits the depths from 0 to the depth of the tree at its beginning. At each depth it
  considers the open leaf with the best score (on ties, the oldest). It expands this leaf if its
  score is strictly better than those of all leaves expanded so far in the sweep.
- A child whose configuration is "the same" as its parent's inherits the score, costs nothing and
  is open. Two configurations count as the same if the sum of the absolute differences of their
  values in natural units is below 1e-4. This is the study's error: a learning rate of 10^-8.5
  counts as the same as 10^-5.5 and is never run. With odd K only the middle child should inherit.
- Other equal configurations are evaluated again.

Departures: the study checks its budget only between sweeps, so it made 51 evaluations instead of
50; here a run ends at its budget. Failures without a penalty and forbidden combinations have the
score infinity. A side below the resolution of floats is not split. The search finishes after
`_PATIENCE` sweeps without a trial, where the study would continue forever. Trials are asked one at
a time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.partition import odd
from optimizers.relaxed_box import RelaxedBox, Vector

_SAME = 1e-4
_PATIENCE = 30  # the number of successive sweeps without a trial after which the search ends


@dataclass(slots=True, eq=False)
class Node:
    """A cell of the tree.

    Attributes:
        lower, upper: the bounds of its relaxed box, shape (dim,).
        depth: the depth in the tree, 0 at the root.
        config: the configuration at which the centre is evaluated.
        score: the score, which is minimised; None until it is known.
        state: the origin of the score: `evaluated`, `inherited` or `approximated`.
        open: whether the cell is a leaf.
    """

    lower: Vector
    upper: Vector
    depth: int
    config: Config
    score: float | None = None
    state: str = "evaluated"
    open: bool = True

    @property
    def centre(self) -> Vector:
        """Return the centre (dim,) of the relaxed box."""
        return (self.lower + self.upper) / 2


class PublishedSOO(Optimizer):
    """Follow the study's rules, one trial at a time.

    Args:
        k: the number of children per split, which must be odd.

    Attributes:
        nodes: all cells, in the order of their creation.
        sweep: the number of finished sweeps.

    Raises:
        ValueError: `k` is not an odd integer of at least 3.
    """

    def __init__(self, space: ConfigurationSpace, *, seed: int, k: int) -> None:
        super().__init__(space, seed=seed)
        self._k = odd("optimizer.k", k)
        self._box = RelaxedBox(space)
        self._width = self._box.upper - self._box.lower
        self.nodes: list[Node] = []
        self.sweep = 0
        self._search = self._searching()
        self._waiting: Node | None = None  # the node that waits for its evaluation
        self._asked: int | None = None  # the id of that node's trial
        self._finished = False

    def ask(self, n: int = 1) -> list[Trial]:
        if n < 1 or self._asked is not None or self._finished:
            return []
        if self._waiting is None:
            self._waiting = next(self._search, None)
        if self._waiting is None:
            self._finished = True
            return []
        trial = self._trial(self._waiting.config)
        self._asked = trial.id
        return [trial]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        value = self._value(evaluation)
        if trial.id == self._asked and self._waiting is not None:
            failed = evaluation.value is None or math.isnan(value)
            self._waiting.score = math.inf if failed else value
            self._waiting = self._asked = None

    def _searching(self) -> Iterator[Node]:
        """Yield the nodes to evaluate; each must have its score before the generator continues."""
        root = self._node(self._box.lower, self._box.upper, depth=0)
        yield from self._evaluate(root)
        self.nodes.append(root)
        idle = 0
        while idle < _PATIENCE and any(self._side(leaf) is not None for leaf in self._leaves()):
            n_before = self._n_trials
            yield from self._sweeping()
            self.sweep += 1
            idle = 0 if self._n_trials > n_before else idle + 1

    def _sweeping(self) -> Iterator[Node]:
        bar: float | None = None  # the best score expanded in this sweep
        for depth in range(max(node.depth for node in self.nodes) + 1):
            leaves = [leaf for leaf in self._leaves() if leaf.depth == depth]
            best = min(leaves, key=_score_of, default=None)  # the oldest on ties
            if best is None or (bar is not None and not _score_of(best) < bar):
                continue
            bar = _score_of(best)
            best.open = False
            for child in self._children(best):
                yield from self._score(best, child)
                self.nodes.append(child)

    def _score(self, parent: Node, child: Node) -> Iterator[Node]:
        """Set the score of a child; yield the child if it must be evaluated."""
        if self._box.difference(parent.config, child.config) < _SAME and self._gives(parent):
            child.score, child.state = parent.score, "inherited"
        else:
            yield from self._evaluate(child)

    def _gives(self, parent: Node) -> bool:
        """Return whether a child may inherit from this parent."""
        return True

    def _evaluate(self, node: Node) -> Iterator[Node]:
        node.state = "evaluated"
        if self._box.allows(node.config):
            yield node
        else:
            node.score = math.inf

    def _leaves(self) -> list[Node]:
        return [node for node in self.nodes if node.open]

    def _node(self, lower: Vector, upper: Vector, depth: int) -> Node:
        return Node(lower, upper, depth, self._box.config((lower + upper) / 2))

    def _side(self, node: Node) -> int | None:
        """Return the widest side relative to the full range, or None if no side can be split."""
        sides = node.upper - node.lower
        cut = node.lower + sides / self._k
        wide = (self._width > 0) & (cut > node.lower) & (cut < node.upper)
        if not wide.any():
            return None
        relative = np.where(wide, sides / np.where(self._width > 0, self._width, 1.0), -1.0)
        return int(np.argmax(relative))  # the first on ties

    def _children(self, node: Node) -> list[Node]:
        """Return the pieces of a cell, from left to right."""
        axis = self._side(node)
        if axis is None:
            return []
        step = (node.upper[axis] - node.lower[axis]) / self._k
        children = []
        for piece in range(self._k):
            lower, upper = node.lower.copy(), node.upper.copy()
            lower[axis] = node.lower[axis] + piece * step
            upper[axis] = node.lower[axis] + (piece + 1) * step
            children.append(self._node(lower, upper, node.depth + 1))
        return children


def _score_of(node: Node) -> float:
    assert node.score is not None
    return node.score
