"""The contract of an objective."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives.trial import Config, Evaluation, Trial


class Objective(ABC):
    """A function to minimise over a space.

    An instance is pickled to the worker processes of a parallel run, so whatever is heavy
    (a model, a server) is loaded at the first `evaluate`, not in the constructor. The
    constructor validates: what is wrong with the settings or the data raises `ValueError`
    (or `OSError`) there, before anything is spent.

    Attributes:
        space: where it is defined.
        shares_host: whether several evaluations may run side by side on one machine.
        version: raised by the author whenever the same configuration gets another value;
            a log of another version is not resumed.
        cheap: whether an evaluation takes milliseconds; the tests sample those in numbers.
        noise_sd: standard deviation of the value over trials of one configuration.
        metric: the metric that `value` stands for; pictures and summaries show it in its
            natural units and sign. None: they show the value itself.
        optimum: the lowest value, where it is known.
        minimisers: configurations that attain `optimum`.
        coco: suite, function and instance of COCO, where it is exactly that problem.
    """

    shares_host: bool = True
    version: int = 1
    cheap: bool = False
    noise_sd: float = 0.0
    space: ConfigurationSpace
    metric: str | None = None
    optimum: float | None = None
    minimisers: Sequence[Config] = ()
    coco: tuple[str, int, int] | None = None

    @abstractmethod
    def evaluate(self, trial: Trial) -> Evaluation:
        """Evaluate one configuration.

        The same trial gives the same answer, or the noise that the objective declares.
        Whatever is raised becomes a failed evaluation with `value=None`; an objective that
        can say how far a configuration got returns a finite penalty above every success,
        with `error` set, instead of raising.

        Raises:
            ValueError: the configuration is not in the space.
        """

    def test(self, trial: Trial) -> dict[str, float]:
        """Measure what is never optimised, at the incumbent when the budget is spent.

        The metrics are logged and shown; no optimizer is told them. Empty: there is no test.
        """
        return {}

    def fingerprint(self) -> dict[str, Any]:
        """Return what the values depend on beyond the settings: digests of data and models.

        Plain JSON values. Runs whose fingerprints differ are never mixed.
        """
        return {}

    def notice(self) -> str | None:
        """Return one line that must stand beside every result, or None (which data were used)."""
        return None
