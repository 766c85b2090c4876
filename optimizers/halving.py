"""One bracket of successive halving: Jamieson & Talwalkar, AISTATS 2016, Algorithm 1.

All configurations of a rung are evaluated; then the best of them, as many as the next rung holds,
go on at its share. A promoted trial resumes the one before, so it pays the difference of their
shares. A failed trial is never promoted: where too few succeed, the next rung is smaller.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from objectives.trial import Config
from optimizers.rungs import Size


@dataclass
class Asked:
    """A trial of a bracket.

    Attributes:
        config: what was evaluated, as it was told.
        value: None until it is told; infinite where it failed.
    """

    config: Config
    value: float | None = None


@dataclass
class Bracket:
    """The state of one bracket.

    Attributes:
        sizes: its rungs, ascending.
        asked: the trials of each rung, by id, in the order of asking.
    """

    sizes: Sequence[Size]
    asked: list[dict[int, Asked]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asked = [{} for _ in self.sizes]

    def wants_new(self) -> bool:
        """Tell whether a new configuration belongs into the lowest rung."""
        return len(self.asked[0]) < self.sizes[0].n

    def promotion(self) -> tuple[int, int, Config] | None:
        """Return the rung to go to, the id to resume and its configuration; None: wait."""
        for rung in range(1, len(self.sizes)):
            below = self.asked[rung - 1]
            if not self._is_done(rung - 1):
                return None
            best = sorted(
                (one.value, id)
                for id, one in below.items()
                if one.value is not None and one.value < float("inf")
            )[: self.sizes[rung].n]
            if len(self.asked[rung]) < len(best):
                _, id = best[len(self.asked[rung])]
                return rung, id, below[id].config
        return None

    def is_over(self) -> bool:
        """Tell whether nothing is left to ask or to wait for."""
        if not all(self._is_done(rung) for rung in range(len(self.sizes))):
            return False
        return self.promotion() is None

    def ask(self, rung: int, id: int, config: Config) -> None:
        """Take a trial that was asked in a rung."""
        self.asked[rung][id] = Asked(config)

    def tell(self, id: int, config: Config, value: float) -> bool:
        """Take an answer; return whether the trial is one of this bracket."""
        for trials in self.asked:
            if id in trials:
                trials[id].config, trials[id].value = config, value
                return True
        return False

    def _is_done(self, rung: int) -> bool:
        """Tell whether a rung has all its trials and all their answers."""
        trials = self.asked[rung]
        full = rung > 0 or len(trials) >= self.sizes[0].n
        return full and all(one.value is not None for one in trials.values())
