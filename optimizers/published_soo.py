"""SOO as N. Davouse and E-G. Talbi published it: the variant `published` of `soo`.

*Bayesian and Partition-Based Optimization for Hyperparameter Optimization of LLM Fine-Tuning*
(OLA 2025), by the rules of its code, Kiwy3/BO_PBO_HPO_LLM. It is here to replay that study, not
to be used; `optimizers/soo.py` is the algorithm of Munos (2011). The study maximises; here scores
are minimised.

- The box is relaxed and integers are truncated (`optimizers/relaxed_box.py`). The root's centre
  is scored first. A cell is cut in K = 3 along its widest side relative to the full range, the
  first on ties, in the study's floating-point arithmetic, which decides the ties.
- A sweep visits the depths from 0 to the depth that the tree had when it began. At each it takes
  the open leaf of the best score, the oldest on ties, and expands it if that is strictly better
  than all expanded so far in the sweep.
- A child whose configuration is "the same" as its parent's inherits the score, costs nothing and
  is open. The same is: the sum of absolute differences of the values as they are run is below
  1e-4. That is the fault: a learning rate of 10^-8.5 counts as the same as 10^-5.5 and is never
  run. With odd K only the middle child should inherit.
- Other equal configurations are evaluated again.

Departures: the study tests its budget between sweeps, so it made 51 evaluations of 50; here a run
ends at its budget. Failures without a graded penalty and forbidden combinations score infinity.
A side below the resolution of floats is not split, and after `_PATIENCE` sweeps that brought no
trial the search has finished, where the study would go on for ever. One trial at a time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.relaxed_box import RelaxedBox, Vector

_SAME = 1e-4
_PATIENCE = 30  # sweeps


@dataclass(slots=True, eq=False)
class Node:
    """A cell of the tree.

    Attributes:
        lower, upper: (dim,) its box, relaxed.
        depth: 0 at the root.
        config: its centre as it is run.
        score: minimised; None until it is known.
        state: how the score came about: `evaluated`, `inherited` or `approximated`.
        open: whether it is a leaf.
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
        """Return the middle (dim,) of the box, relaxed."""
        return (self.lower + self.upper) / 2


class PublishedSOO(Optimizer):
    """Follow the study's rules, one trial at a time.

    Args:
        k: children per split, odd.

    Attributes:
        nodes: all cells, in the order of their making.
        sweep: how many sweeps have ended.

    Raises:
        ValueError: `k` is no odd integer of at least 3.
    """

    def __init__(self, space: ConfigurationSpace, *, seed: int, k: int) -> None:
        super().__init__(space, seed=seed)
        if isinstance(k, bool) or not isinstance(k, int) or k < 3 or k % 2 == 0:
            raise ValueError(f"k: expected an odd integer of at least 3, got {k!r}")
        self._k = k
        self._box = RelaxedBox(space)
        self._width = self._box.upper - self._box.lower
        self.nodes: list[Node] = []
        self.sweep = 0
        self._search = self._searching()
        self._waiting: Node | None = None  # for its evaluation
        self._asked: int | None = None  # the id of its trial
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
        """Yield the nodes to evaluate; each has its score when the search goes on."""
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
        """Give a child its score, yielding it where it must be evaluated."""
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
        """Return the widest side relative to the full range, None where none can be cut."""
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
