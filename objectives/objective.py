"""The contract of an objective."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ConfigSpace import ConfigurationSpace

from objectives.deployment import Deployment as Deployment
from objectives.outlook import Outlook as Outlook
from objectives.trial import Config, Evaluation, Fidelities, Goal, Limit, Trial


@dataclass(frozen=True)
class Resources:
    """What one evaluation needs of a machine.

    Attributes:
        gpus: number of GPUs it uses.
        cores: number of processor cores it keeps busy.
        whole_host: whether nothing else may run beside it, because its timings would change.
    """

    gpus: int = 0
    cores: int = 1
    whole_host: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the header of a log holds them."""
        return dict(vars(self))


class HostFault(Exception):
    """An evaluation that the host broke off: a port was taken, a node was lost.

    Raise it from `evaluate` where another attempt may succeed. The trial is evaluated again, a
    few times at most, and its configuration is not blamed.

    Attributes:
        final: whether another attempt cannot succeed either, so that the run ends at once.
    """

    final: bool = False


class Objective(ABC):
    """A function to minimise over a space.

    An instance is pickled to the worker processes of a parallel run, so whatever is heavy
    (a model, a server) is loaded at the first `evaluate`, not in the constructor. The
    constructor validates: what is wrong with the settings or the data raises `ValueError`
    (or `OSError`) there, before anything is spent.

    Attributes:
        space: where it is defined.
        goals: what is wanted of each metric that is optimised. `value` stands for the only one,
            and pictures and summaries show that one in its natural units. Empty: `value` itself
            is minimised and shown. Several: a success has no `value`, but a metric of each goal.
        limits: the bounds that metrics have to keep, by metric. An evaluation that breaks one is
            a success with its metrics and without a penalty; it is not feasible.
        front: points of the Pareto front, each with a number by goal, where it is known.
        hypervolume: the largest hypervolume between the goals' references and any set of
            points, where it is known.
        fidelities: the shares of a full evaluation that differ; None: full evaluations only.
        resources: what one evaluation needs of a machine.
        default: the configuration that an engineer would start from, where there is one.
        needs_default: whether the objective measures its default itself, as a reference.
        folder: of the run, on a disk that all workers share. It is set before the first
            evaluation; checkpoints lie there.
        version: raised by the author whenever the same configuration gets another value;
            a log of another version is not resumed.
        cheap: whether an evaluation takes milliseconds; the tests sample those in numbers.
        simulates_cost: whether `Evaluation.cost` follows from the trial alone, as that of a table
            does, instead of being measured; a simulated clock goes by such costs.
        noise_sd: standard deviation of the value over trials of one configuration.
        optimum: the lowest `value`, where it is known.
        minimisers: configurations that attain `optimum`.
        coco: suite, function and instance of COCO, where it is exactly that problem.
    """

    goals: Mapping[str, Goal] = {}
    limits: Mapping[str, Limit] = {}
    front: Sequence[Mapping[str, float]] = ()
    hypervolume: float | None = None
    fidelities: Fidelities | None = None
    resources: Resources = Resources()
    default: Config | None = None
    needs_default: bool = False
    folder: Path | None = None
    version: int = 1
    cheap: bool = False
    simulates_cost: bool = False
    noise_sd: float = 0.0
    space: ConfigurationSpace
    optimum: float | None = None
    minimisers: Sequence[Config] = ()
    coco: tuple[str, int, int] | None = None

    @property
    def metric(self) -> str | None:
        """The metric that `value` stands for; None where it stands for itself."""
        return next(iter(self.goals), None)

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

        The metrics are logged and shown; no optimizer is told them. Empty: there is no
        test.
        """
        return {}

    def deployment(self) -> Deployment | None:
        """Return the command line that puts a configuration to use, or None.

        The header of the log holds it. It is no part of the run's identity.
        """
        return None

    def outlook(self) -> Outlook:
        """Return what an evaluation will take, and what would stop it, without making one.

        A dry run shows it. What the constructor has checked need not be checked again.
        """
        return Outlook()

    def fingerprint(self) -> dict[str, Any]:
        """Return what the values depend on beyond the settings: digests of data and models.

        Plain JSON values. Runs whose fingerprints differ are never mixed.
        """
        return {}

    def notice(self) -> str | None:
        """Return one line that must stand beside every result, or None (which data were used)."""
        return None
