"""Hyperband and successive halving: Li et al., JMLR 18 (2018), Algorithm 1.

A round has one bracket for each number of halvings. It starts with the most halvings (many
configurations at low fidelities) and ends with none (random search at full evaluations); then the
next round begins. `rungs.py` computes the sizes. Successive halving (`sha`) repeats only the
bracket with the most halvings.

Departure: while a rung waits for its last evaluations, the next bracket begins, so that no worker
is idle. With one worker, the brackets follow one another as in the paper.
"""

from collections.abc import Sequence

import numpy as np
from ConfigSpace import ConfigurationSpace

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.halving import Bracket
from optimizers.optimizer import Optimizer
from optimizers.rungs import Size, brackets, ladder

SIZES = ("algorithm", "table")


class Hyperband(Optimizer):
    """Runs brackets of successive halving, one after the other.

    Args:
        fidelities: the fidelities of the objective.
        eta: one configuration in eta is promoted.
        least: the lowest fidelity to use; None means the objective's lowest.
        sizes: whether the sizes follow Algorithm 1 (`algorithm`) or the paper's Table 1 (`table`).
        every_bracket: whether a round has all brackets, or only the one with the most halvings.

    Raises:
        ValueError: a setting is invalid, or the objective has no fidelities.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        fidelities: Fidelities | None,
        eta: int,
        least: float | None,
        sizes: str,
        every_bracket: bool,
    ) -> None:
        super().__init__(space, seed=seed)
        expected.one_of("optimizer.sizes", sizes, SIZES)
        rungs = ladder(fidelities, eta, least)
        self._resumes = fidelities is not None and fidelities.resumable
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng(seed)
        rounds = brackets(rungs, eta, sizes == "table")
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

    def _asked(self, bracket: Bracket, rung: int, config: Config, resumes: int | None) -> Trial:
        continued = resumes if self._resumes else None
        trial = self._trial(config, bracket.sizes[rung].share, continued)
        bracket.ask(rung, trial.id, trial.config)
        return trial

    def _new_config(self) -> Config:
        """Return a new configuration for the lowest rung."""
        return self._cube.config(self._cube.draw(self._rng)[0])

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        failed = evaluation.error is not None or evaluation.value is None
        value = float("inf") if failed or evaluation.value is None else evaluation.value
        for bracket in self._open:
            if bracket.tell(trial.id, trial.config, value):
                break
        self._open = [bracket for bracket in self._open if not bracket.is_over()]
