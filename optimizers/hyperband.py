"""Hyperband and successive halving: Li et al., JMLR 18 (2018), Algorithm 1.

A round has one bracket for each number of halvings. It starts with the most halvings (many
configurations at low fidelities) and ends with none (random search at full evaluations); then the
next round begins. `rungs.py` computes the sizes. Successive halving (`sha`) repeats only the
bracket with the most halvings.

Departure: while a rung waits for its last evaluations, the next bracket begins, so that no worker
is idle. With one worker, the brackets follow one another as in the paper.
"""

from collections.abc import Sequence
from typing import Unpack

from ConfigSpace import ConfigurationSpace

from objectives import expected
from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.halving import Bracket
from optimizers.promoting import LadderSettings, PromotingOptimizer, value_of
from optimizers.rungs import Size, brackets

SIZES = ("algorithm", "table")


class HyperbandSettings(LadderSettings):
    """The settings of `Hyperband` that a subclass passes on."""

    sizes: str


class Hyperband(PromotingOptimizer):
    """Runs brackets of successive halving, one after the other.

    Args:
        sizes: whether the sizes follow Algorithm 1 (`algorithm`) or the paper's Table 1 (`table`).
        every_bracket: whether a round has all brackets, or only the one with the most halvings.

    Raises:
        ValueError: a setting is invalid, or the objective has no fidelities.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        fidelities: Fidelities | None,
        sizes: str,
        every_bracket: bool,
        **ladder: Unpack[LadderSettings],
    ) -> None:
        super().__init__(space, fidelities=fidelities, **ladder)
        expected.one_of("optimizer.sizes", sizes, SIZES)
        rounds = brackets(self._rungs, self._eta, sizes == "table")
        self._round: Sequence[list[Size]] = rounds if every_bracket else rounds[:1]
        self._n_begun = 0
        self._open: list[Bracket] = []

    def ask(self, n: int = 1) -> list[Trial]:
        return [self._next() for _ in range(n)]

    def _next(self) -> Trial:
        """Return a trial of the oldest bracket that can continue, or of a new bracket."""
        for bracket in self._open:
            if bracket.wants_new():
                return self._asked(bracket, 0, self._new_config(), None)
            if (promotion := bracket.promotion()) is not None:
                rung, id, config = promotion
                return self._asked(bracket, rung, config, id)
        bracket = Bracket(self._round[self._n_begun % len(self._round)])
        self._n_begun += 1
        self._open.append(bracket)
        return self._asked(bracket, 0, self._new_config(), None)

    def _asked(self, bracket: Bracket, rung: int, config: Config, promoted: int | None) -> Trial:
        trial = self._trial_at(bracket.sizes[rung].share, config, promoted)
        bracket.ask(rung, trial.id, trial.config)
        return trial

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        value = value_of(evaluation)
        for bracket in self._open:
            if bracket.tell(trial.id, trial.config, value):
                break
        self._open = [bracket for bracket in self._open if not bracket.is_over()]
