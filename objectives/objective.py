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
    """The resources of a machine that one evaluation needs.

    Attributes:
        gpus: number of GPUs it uses.
        cores: number of processor cores it keeps busy.
        whole_host: whether nothing else may run at the same time, because its timings would change.
    """

    gpus: int = 0
    cores: int = 1
    whole_host: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the header of a log holds them."""
        return dict(vars(self))


class HostFault(Exception):
    """An evaluation that the host interrupted, such as by a port in use or a lost node.

    Raise it from `evaluate` if another attempt may succeed. The trial is evaluated again, at most a
    few times, and the fault is not attributed to its configuration.

    Attributes:
        final: whether another attempt cannot succeed either, so that the run ends at once.
    """

    final: bool = False


class Objective(ABC):
    """A function to minimise over a space.

    An instance is pickled and sent to the worker processes of a parallel run. Whatever is heavy (a
    model, a server) is therefore loaded at the first `evaluate`, not in the constructor. The
    constructor validates: an error in the settings or the data raises `ValueError` (or `OSError`)
    there, before any budget is spent.

    Attributes:
        space: the search space.
        goals: the goal of each metric that is optimised. With one goal, `value` represents it, and
            figures and summaries show its metric in natural units. If empty, `value` itself is
            minimised and shown. With several goals, a success has no `value` but has the metric of
            each goal.
        limits: the bounds on metrics, by metric. An evaluation that violates one is a success with
            its metrics and without a penalty, but it is not feasible.
        front: points of the Pareto front, each with one number by goal, if the front is known.
        hypervolume: the largest hypervolume between the goals' references and any set of
            points, if it is known.
        fidelities: the shares of a full evaluation that are offered; None means only full
            evaluations.
        resources: what one evaluation needs of a machine.
        gpus_setting: the setting that holds the number of GPUs of an evaluation, as a path such as
            `engine.gpus` below the objective's settings; None if there is no such setting. The
            setting `gpus` of a run sets it, and `resources.gpus` has to equal it then.
        default: the configuration from which an engineer would start, if there is one.
        needs_default: whether the objective measures its default itself, as a reference.
        folder: the folder of the run, on a disk that all workers share. It is set before the first
            evaluation and holds the checkpoints.
        version: increased by the author whenever the value of a configuration changes. A log of
            another version is not resumed.
        cheap: whether an evaluation takes milliseconds, so that tests may do many of them.
        simulates_cost: whether `Evaluation.cost` follows from the trial alone, as that of a table
            does, instead of being measured; a simulated clock uses these costs.
        noise_sd: standard deviation of the value over trials of one configuration. The seed of the
            noise is a setting called `seed`, also that of a nested objective; `tuneoff confirm`
            draws it anew.
        optimum: the lowest `value`, if it is known.
        minimisers: configurations that attain `optimum`.
        moved: whether the optimum was moved from where the problem's authors put it; None if they
            put it nowhere in particular.
        coco: suite, function and instance of COCO, if the objective is exactly that problem.
    """

    goals: Mapping[str, Goal] = {}
    limits: Mapping[str, Limit] = {}
    front: Sequence[Mapping[str, float]] = ()
    hypervolume: float | None = None
    fidelities: Fidelities | None = None
    resources: Resources = Resources()
    gpus_setting: str | None = None
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
    moved: bool | None = None
    coco: tuple[str, int, int] | None = None

    @property
    def metric(self) -> str | None:
        """The metric that `value` represents; None if `value` is minimised itself."""
        return next(iter(self.goals), None)

    @abstractmethod
    def evaluate(self, trial: Trial) -> Evaluation:
        """Evaluate one configuration.

        The same trial gives the same answer, or the noise that the objective declares.
        Any exception becomes a failed evaluation with `value=None`. An objective that can grade how
        far a configuration got does not raise but returns a finite penalty above every success,
        with `error` set.

        Raises:
            ValueError: the configuration is not in the space.
        """

    def test(self, trial: Trial) -> dict[str, float]:
        """Measure test metrics at the incumbent when the budget is spent; they are never optimised.

        The metrics are logged and shown, but no optimizer is told them. If empty, there is no test.
        """
        return {}

    def deployment(self) -> Deployment | None:
        """Return the command line that uses a configuration in practice, or None.

        The header of the log holds it. It is not part of the run's identity.
        """
        return None

    def outlook(self) -> Outlook:
        """Return what an evaluation will take, and what would stop it, without making one.

        A dry run shows it. What the constructor has checked need not be checked again.
        """
        return Outlook()

    def fingerprint(self) -> dict[str, Any]:
        """Return what the values depend on besides the settings: digests of data and models.

        The values are plain JSON. Runs with different fingerprints are never mixed.
        """
        return {}

    def notice(self) -> str | None:
        """Return a line to show with every result, such as the data that were used, or None."""
        return None
