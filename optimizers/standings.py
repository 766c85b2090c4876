"""How far each configuration was evaluated, for an optimizer that promotes configurations."""

from dataclasses import dataclass

from objectives.trial import Config, Trial
from optimizers.acquisition_search import Key, key


@dataclass
class Standing:
    """The highest fidelity at which a configuration was evaluated.

    Attributes:
        config: the configuration.
        share: the highest fidelity that was asked for.
        id: the trial that was told at this fidelity; None while it is pending.
        failed: whether one of its trials failed.
    """

    config: Config
    share: float
    id: int | None = None
    failed: bool = False


class Standings:
    """The standing of every configuration that was asked for or told."""

    def __init__(self, resumes: bool) -> None:
        """Start without configurations.

        Args:
            resumes: whether the objective can continue an evaluation at a higher fidelity.
        """
        self._resumes = resumes
        self._by_key: dict[Key, Standing] = {}

    def ask(self, config: Config, share: float) -> tuple[int | None, float]:
        """Note that a configuration is asked for; return the trial to resume, and the cost."""
        before = self._by_key.get(key(config))
        resumed = before.id if before is not None and self._resumes else None
        cost = self.cost(share, before)
        self._by_key[key(config)] = Standing(config, share)
        return resumed, cost

    def cost(self, share: float, before: Standing | None) -> float:
        """Return the cost of an evaluation, given the progress of its configuration."""
        resumed = self._resumes and before is not None and before.id is not None
        return share - (before.share if before is not None and resumed else 0.0)

    def tell(self, trial: Trial, failed: bool) -> None:
        """Note that a trial was told."""
        standing = self._by_key.get(key(trial.config))
        if standing is None or trial.fidelity >= standing.share:
            standing = Standing(trial.config, trial.fidelity, trial.id)
            self._by_key[key(trial.config)] = standing
        standing.failed = standing.failed or failed

    def forget(self, config: Config) -> None:
        """Remove a configuration whose trial was refused."""
        self._by_key.pop(key(config), None)

    def below(self, top: float) -> list[Standing]:
        """Return the standings of the configurations that may be promoted, at most to `top`."""
        return [
            standing
            for standing in self._by_key.values()
            if standing.id is not None and not standing.failed and standing.share < top
        ]

    def is_settled(self, config: Config, top: float) -> bool:
        """Return whether a configuration is pending, has failed, or was evaluated at `top`."""
        standing = self._by_key.get(key(config))
        return standing is not None and (
            standing.id is None or standing.failed or standing.share >= top
        )
