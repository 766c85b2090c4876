"""Comparison of an optimizer's proposals and decisions with a recording."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from experiments.replaying.recording import Step, same, short
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer


class Node(Protocol):
    """A node of an optimizer's tree, for which it requests bounds."""

    config: Config


@runtime_checkable
class Bounding(Protocol):
    """An optimizer that uses bounds to decide whether to evaluate a configuration at all.

    If the lower bound of a configuration is above `best`, it is not evaluated, and its upper bound
    serves as its score.

    Attributes:
        bounds: the function that returns the lower and the upper bound; a replay replaces it.
        best: the best score in the optimizer's tree.
    """

    bounds: Callable[[Any], tuple[float, float]]

    @property
    def best(self) -> float: ...

    def own_bounds(self, node: Any, /) -> tuple[float, float]:
        """Return the bounds of the optimizer's own model."""
        ...


class Differs(Exception):
    """The replay has reached a step that differs, or the end of the recording."""


class Match:
    """Compares an optimizer's proposals with the recorded steps.

    Attributes:
        matched: the number of steps before the first difference.
        lines: one line per decision, if the decisions of the optimizer's own model are compared.
        n_decisions: the number of these decisions.
        n_agreed: the number of these decisions that agree with the recording.
        deviation: the largest difference between the optimizer's own and the recorded bounds.
    """

    def __init__(self, optimizer: Optimizer, steps: Sequence[Step], own: bool) -> None:
        self._optimizer, self._steps, self._own = optimizer, steps, own
        self.matched = 0
        self.lines: list[str] = []
        self.n_decisions = self.n_agreed = 0
        self.deviation = 0.0
        if isinstance(optimizer, Bounding):
            optimizer.bounds = self._bounds

    def run(self) -> str | None:
        """Replay the recording; return a description of the first difference, or None."""
        try:
            while self.matched < len(self._steps):
                trials = self._optimizer.ask(1)
                if not trials:
                    return f"{self._recorded()}; asked: nothing, the optimizer has finished"
                self._compare(trials[0].config, evaluated=True)
                step = self._steps[self.matched]
                answer = Evaluation(step.value, 0.0)
                self._optimizer.tell(Trial(trials[0].id, step.config), answer)
                self.matched += 1
        except Differs as difference:
            return str(difference) or None
        return None

    def _recorded(self) -> str:
        step = self._steps[self.matched]
        state = "evaluated" if step.value is not None else "approximated"
        return f"recorded: {state} at {short(step.config)}"

    def _compare(self, config: Config, evaluated: bool) -> None:
        """Raise `Differs` unless the current step has the same configuration and state."""
        if self.matched == len(self._steps):
            raise Differs
        step = self._steps[self.matched]
        if not same(config, step.config) or evaluated != (step.value is not None):
            state = "evaluated" if evaluated else "approximated"
            raise Differs(f"{self._recorded()}; asked: {state} at {short(config)}")

    def _bounds(self, node: Node) -> tuple[float, float]:
        """Return the recorded bounds of a node, after checking that the recorded step matches."""
        optimizer = self._optimizer
        assert isinstance(optimizer, Bounding)
        if self.matched == len(self._steps):
            raise Differs
        step = self._steps[self.matched]
        self._compare(node.config, evaluated=step.value is not None)
        if self._own:
            self._decide(step, optimizer.own_bounds(node), optimizer.best)
        if step.bounds is None:
            return -math.inf, math.inf
        if not self._own:
            self._compare(node.config, evaluated=not step.bounds[0] > optimizer.best)
            self.matched += 1
            return step.bounds
        self.matched += 1
        return math.inf, step.bounds[1]  # follow the recording, whatever the own model decides

    def _decide(self, step: Step, ours: tuple[float, float], best: float) -> None:
        """Compare the decision of the optimizer's own model with the recorded one."""
        words = ("evaluate", "approximate")
        decisions = [words[ours[0] > best], words[step.bounds is not None]]
        self.n_decisions += 1
        self.n_agreed += decisions[0] == decisions[1]
        line = (
            f"{self.matched + 1:4}  ours {decisions[0]:<11}  theirs {decisions[1]:<11}  "
            f"UCB {1 - ours[0]:.4f} LCB {1 - ours[1]:.4f}  best {1 - best:.4f}"
        )
        if step.bounds is not None:
            lower, upper = step.bounds
            self.deviation = max(self.deviation, abs(ours[0] - lower), abs(ours[1] - upper))
            line += f"  recorded UCB {1 - lower:.4f} LCB {1 - upper:.4f}"
        self.lines.append(line)


def report(match: Match, difference: str | None, n: int, own: bool) -> str:
    """Return the decisions, the first difference if there is one, and the counts."""
    lines = [*match.lines]
    if difference is not None:
        lines.append(f"first step that differs: {match.matched + 1}: {difference}")
    if own:
        if match.matched < n or difference is not None:
            lines.append(f"matched {match.matched} of {n}")
        lines.append(
            f"decisions {match.n_agreed} of {max(n - 1, 0)}, bounds within {match.deviation:.4f}"
        )
    else:
        lines.append(f"matched {match.matched} of {n}")
    return "\n".join(lines)
