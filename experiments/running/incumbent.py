"""The rule that decides which trial is the incumbent.

The incumbent is the best successful evaluation at the highest fidelity at which any evaluation has
succeeded. Among equal values the earliest wins. The first successful full evaluation therefore
replaces an incumbent of a lower fidelity, whatever its value.
"""

from collections.abc import Iterable, Sequence

from objectives.trial import Evaluation


class Incumbent:
    """The incumbent of a sequence of evaluations.

    Attributes:
        id: the id of the incumbent's trial; None before the first success.
        value: the value of the incumbent; infinite before the first success.
        fidelity: the fidelity of the incumbent's trial; 0 before the first success.
    """

    def __init__(self) -> None:
        self.id: int | None = None
        self.value = float("inf")
        self.fidelity = 0.0

    def add(self, id: int, value: float | None, fidelity: float, failed: bool) -> bool:
        """Add one evaluation; return whether it is the new incumbent.

        Args:
            id: the id of the trial.
            value: the value, which is minimised; None or NaN if the evaluation has no value.
            fidelity: the fidelity of the trial.
            failed: whether the evaluation failed; its value is then a penalty.
        """
        if failed or value is None or value != value or fidelity < self.fidelity:
            return False
        if fidelity == self.fidelity and value >= self.value:
            return False
        self.id, self.value, self.fidelity = id, value, fidelity
        return True

    def told(self, id: int, evaluation: Evaluation, fidelity: float) -> bool:
        """Add one logged evaluation; return whether it is the new incumbent."""
        return self.add(id, evaluation.value, fidelity, evaluation.error is not None)


def places(
    values: Sequence[float], fidelities: Sequence[float], failed: Iterable[bool]
) -> list[int | None]:
    """Return the index of the incumbent after each of n evaluations; None before a success."""
    best = Incumbent()
    found = []
    for place, (value, fidelity, lost) in enumerate(zip(values, fidelities, failed, strict=True)):
        best.add(place, value, fidelity, bool(lost))
        found.append(best.id)
    return found
