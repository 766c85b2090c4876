"""The rule that decides which trial is the incumbent.

The incumbent is the best successful evaluation at the highest fidelity at which any evaluation has
succeeded. Among equal values the earliest wins. The first successful full evaluation therefore
replaces an incumbent of a lower fidelity, whatever its value.

With limits, only evaluations that keep all of them can be incumbents. With several goals the
incumbents are a set: the evaluations that no other one dominates. Where one of the set is needed,
it is the one whose worst goal, as a share of the goal's range in the set, is best.
"""

from collections.abc import Iterable, Mapping, Sequence

from objectives.trial import Evaluation, Goal, Limit, keeps, signed

Point = Sequence[float]
"""One number per goal; less is better in each."""


class Incumbent:
    """The incumbent of a sequence of evaluations, or the set of incumbents of several goals.

    Attributes:
        value: the value of the incumbent; infinite before the first success, and with several
            goals.
        fidelity: the fidelity of the incumbent's trial; 0 before the first success.
    """

    def __init__(
        self, goals: Mapping[str, Goal] | None = None, limits: Mapping[str, Limit] | None = None
    ) -> None:
        """Begin without an incumbent.

        Args:
            goals: the goals by metric; None or one goal: the value decides.
            limits: the limits by metric.
        """
        self._goals = dict(goals) if goals and len(goals) > 1 else {}
        self._limits = dict(limits or {})
        self._set: list[tuple[int, Point]] = []  # the ids of the incumbents and their points
        self.value = float("inf")
        self.fidelity = 0.0

    @property
    def ids(self) -> list[int]:
        """The ids of the incumbents' trials, in the order of their evaluations."""
        return [id for id, _ in self._set]

    @property
    def id(self) -> int | None:
        """The id of the incumbent's trial; with several goals, of one of the set."""
        return self._set[middle([point for _, point in self._set])][0] if self._set else None

    def add(self, id: int, value: float | None, fidelity: float, failed: bool) -> bool:
        """Add one evaluation of one goal; return whether it is the new incumbent.

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
        self._set, self.value, self.fidelity = [(id, (value,))], value, fidelity
        return True

    def told(self, id: int, evaluation: Evaluation, fidelity: float) -> bool:
        """Add one logged evaluation; return whether it is an incumbent."""
        failed = evaluation.error is not None or not keeps(self._limits, evaluation.metrics)
        if not self._goals:
            return self.add(id, evaluation.value, fidelity, failed)
        point = None if failed else signed(self._goals, evaluation.metrics)
        return point is not None and self._enter(id, point, fidelity)

    def _enter(self, id: int, point: Point, fidelity: float) -> bool:
        """Add a point to the set unless another one dominates or equals it."""
        if fidelity < self.fidelity:
            return False
        if fidelity > self.fidelity:
            self._set, self.fidelity = [], fidelity
        if any(dominates(other, point) or other == point for _, other in self._set):
            return False
        self._set = [(i, other) for i, other in self._set if not dominates(point, other)]
        self._set.append((id, point))
        return True


def dominates(a: Point, b: Point) -> bool:
    """Return whether `a` is nowhere worse than `b` and better somewhere."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and list(a) != list(b)


def middle(points: Sequence[Point]) -> int:
    """Return the place of the point whose worst goal is best, as a share of its range."""
    columns: list[tuple[float, ...]] = list(zip(*points, strict=True))
    lows = [min(column) for column in columns]
    ranges = [max(column) - low or 1.0 for column, low in zip(columns, lows, strict=True)]

    def worst(place: int) -> float:
        return max(
            (x - low) / width for x, low, width in zip(points[place], lows, ranges, strict=True)
        )

    return min(range(len(points)), key=worst)


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
