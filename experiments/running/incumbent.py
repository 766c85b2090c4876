"""The one rule of the incumbent.

It is the best success at the highest fidelity that a success has reached, and the first of equals.
So the first full evaluation that succeeds replaces whatever was best at a lower fidelity.
"""

from collections.abc import Iterable, Sequence

from objectives.trial import Evaluation


class Incumbent:
    """The incumbent of evaluations that arrive one after the other.

    Attributes:
        id: of its trial; None before the first success.
        value: of its evaluation; infinite before the first success.
        fidelity: of its trial; 0 before the first success.
    """

    def __init__(self) -> None:
        self.id: int | None = None
        self.value = float("inf")
        self.fidelity = 0.0

    def add(self, id: int, value: float | None, fidelity: float, failed: bool) -> bool:
        """Take one more evaluation; return whether it is the new incumbent.

        Args:
            id: of its trial.
            value: to minimise; None, or NaN, where there is none.
            fidelity: of its trial.
            failed: whether it failed; the value is then a penalty.
        """
        if failed or value is None or value != value or fidelity < self.fidelity:
            return False
        if fidelity == self.fidelity and value >= self.value:
            return False
        self.id, self.value, self.fidelity = id, value, fidelity
        return True

    def told(self, id: int, evaluation: Evaluation, fidelity: float) -> bool:
        """Take one more evaluation, as the log has it; return whether it is the new incumbent."""
        return self.add(id, evaluation.value, fidelity, evaluation.error is not None)


def places(
    values: Sequence[float], fidelities: Sequence[float], failed: Iterable[bool]
) -> list[int | None]:
    """Return the place of the incumbent after each of n evaluations; None before a success."""
    best = Incumbent()
    found = []
    for place, (value, fidelity, lost) in enumerate(zip(values, fidelities, failed, strict=True)):
        best.add(place, value, fidelity, bool(lost))
        found.append(best.id)
    return found
