"""One bracket of successive halving: Jamieson & Talwalkar, AISTATS 2016, Algorithm 1.

All configurations of a rung are evaluated. Then the best of them, as many as the next rung has
places for, are promoted and evaluated at its fidelity. A promoted trial resumes the previous one,
so it costs the difference of their fidelities. A failed trial is never promoted, so the next rung
is smaller if too few trials succeed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from objectives.trial import Config
from optimizers.rungs import Size


@dataclass
class Asked:
    """A trial of a bracket.

    Attributes:
        config: the configuration, as told.
        value: the value; None until it is told, and infinite if the evaluation failed.
    """

    config: Config
    value: float | None = None


@dataclass
class Bracket:
    """The state of one bracket.

    Attributes:
        sizes: the sizes of its rungs, by ascending fidelity.
        asked: the trials of each rung by id, in the order in which they were asked.
    """

    sizes: Sequence[Size]
    asked: list[dict[int, Asked]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asked = [{} for _ in self.sizes]

    def wants_new(self) -> bool:
        """Return whether the lowest rung needs another configuration."""
        return len(self.asked[0]) < self.sizes[0].n

    def promotion(self) -> tuple[int, int, Config] | None:
        """Return the next promotion, or None if there is none yet.

        It consists of the rung, the id of the trial to resume, and the configuration.
        """
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
        """Return whether all trials of the bracket were asked and told."""
        if not all(self._is_done(rung) for rung in range(len(self.sizes))):
            return False
        return self.promotion() is None

    def ask(self, rung: int, id: int, config: Config) -> None:
        """Record a trial that was asked in a rung."""
        self.asked[rung][id] = Asked(config)

    def tell(self, id: int, config: Config, value: float) -> bool:
        """Record a value; return whether the trial belongs to this bracket."""
        for trials in self.asked:
            if id in trials:
                trials[id].config, trials[id].value = config, value
                return True
        return False

    def _is_done(self, rung: int) -> bool:
        """Return whether all trials of a rung were asked and told."""
        trials = self.asked[rung]
        full = rung > 0 or len(trials) >= self.sizes[0].n
        return full and all(one.value is not None for one in trials.values())
