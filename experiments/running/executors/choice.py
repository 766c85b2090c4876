"""The executors that conf/executor/*.yaml chooses from."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hydra.utils import instantiate

from experiments.running.executors.executor import Executor
from experiments.running.executors.inline import Inline
from experiments.running.executors.pool import TaskPool, Work
from objectives import expected
from objectives.objective import Objective, Resources

ExecutorFactory = Callable[[Objective, int, float | None], Executor]
"""Makes an executor from an objective, the number of workers and the time limit in seconds."""


def inline(objective: Objective, workers: int, evaluation_timeout_s: float | None) -> Executor:
    """Return an executor that evaluates in this process.

    Raises:
        ValueError: there are several workers or there is a time limit; neither is possible inline.
    """
    if workers > 1:
        raise ValueError(f"executor: expected processes or auto for workers={workers}, got inline")
    if evaluation_timeout_s is not None:
        raise ValueError(
            "executor: expected processes or auto for evaluation_timeout_s, got inline"
        )
    return Inline(objective)


def processes(objective: Objective, workers: int, evaluation_timeout_s: float | None) -> Executor:
    """Return an executor that evaluates in separate processes.

    Raises:
        ValueError: the objective cannot be pickled, or cannot share its host.
    """
    from experiments.running.executors.processes import Processes  # saves short runs 10 ms

    return Processes(objective, workers, evaluation_timeout_s)


def auto(objective: Objective, workers: int, evaluation_timeout_s: float | None) -> Executor:
    """Return an inline executor for a cheap objective, and one with processes otherwise.

    Raises:
        ValueError: the objective cannot be pickled, or cannot share its host.
    """
    if workers == 1 and evaluation_timeout_s is None and objective.cheap:
        return Inline(objective)
    return processes(objective, workers, evaluation_timeout_s)


@dataclass(frozen=True)
class SimulatedChoice:
    """Makes executors with a simulated clock.

    Attributes:
        rounds: whether new trials are asked for only when all workers are idle.
        seconds: the simulated duration of a full evaluation, if the objective measures its cost.
        jitter: the largest deviation from `seconds`, as a fraction of it.

    Raises:
        ValueError: a setting is out of range.
    """

    rounds: bool = False
    seconds: float = 1.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        expected.switch("executor.rounds", self.rounds)
        expected.number("executor.seconds", self.seconds, least=0, most=1e9)
        expected.number("executor.jitter", self.jitter, least=0, most=1)

    def __call__(
        self, objective: Objective, workers: int, evaluation_timeout_s: float | None
    ) -> Executor:
        """Return an executor whose evaluations take their simulated cost."""
        from experiments.running.executors.simulated import Simulated

        return Simulated(
            objective,
            rounds=self.rounds,
            seconds=float(self.seconds),
            jitter=float(self.jitter),
            evaluation_timeout_s=evaluation_timeout_s,
        )

    def clock(self, objective: Objective) -> dict[str, Any]:
        """Return what the identity of a run holds of its clock."""
        if objective.simulates_cost:
            return {"rounds": self.rounds}
        return {"rounds": self.rounds, "seconds": float(self.seconds), "jitter": float(self.jitter)}


@dataclass(frozen=True)
class RayChoice:
    """Makes executors on a Ray cluster, and spreads the runs of a sweep over it.

    Attributes:
        elsewhere: whether the evaluations may be made on other machines than this one.
        address: `host:port` or `auto` of a running cluster; None starts a local one.
        cpus: the cores that a local cluster offers; None means those of the machine.

    Raises:
        ValueError: a setting is of the wrong type or out of range.
    """

    elsewhere: ClassVar[bool] = True
    address: str | None = None
    cpus: int | None = None

    def __post_init__(self) -> None:
        expected.null_or(
            expected.text, "executor.address", self.address, "text such as auto or host:port"
        )
        expected.null_or(expected.whole, "executor.cpus", self.cpus, 1)
        if self.cpus is not None and self.address is not None:
            raise ValueError("executor.cpus: expected null with executor.address, got both")

    def __call__(
        self, objective: Objective, workers: int, evaluation_timeout_s: float | None
    ) -> Executor:
        """Return an executor whose workers are Ray actors."""
        from experiments.running.executors.on_ray import OnRay

        limit_s, address = evaluation_timeout_s, self.address
        return OnRay(objective, workers, limit_s, address=address, cpus=self.cpus)

    def spread(self, work: Work, n: int, resources: Resources) -> TaskPool:
        """Return a pool whose workers are Ray actors.

        Args:
            work: the function that the workers call for each task.
            n: the number of tasks at once.
            resources: what one task needs.

        Raises:
            ValueError: no cluster answers, or it is too small.
        """
        from experiments.running.executors.ray_pool import RayPool

        return RayPool(work, n, resources, self.address, self.cpus)


@dataclass(frozen=True)
class SlurmChoice:
    """Makes executors whose evaluations are jobs of Slurm.

    Attributes:
        elsewhere: whether the evaluations may be made on other machines than this one.
        time_min: Slurm's time limit of a job in minutes.
        partition: the partition; None means the cluster's default.
        account: the account; None means the user's default.
        qos: the quality of service; None means the default.
        memory_gib: the memory of a job; None means the cluster's default.
        setup: shell commands before the evaluation.
        extra: other options of sbatch.
        poll_s: the interval between two questions to Slurm in seconds.

    Raises:
        ValueError: a setting is of the wrong type or out of range.
    """

    elsewhere: ClassVar[bool] = True
    time_min: int = 60
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    memory_gib: float | None = None
    setup: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    poll_s: float = 5.0

    def __post_init__(self) -> None:
        expected.number("executor.time_min", self.time_min, above=0)
        expected.null_or(expected.number, "executor.memory_gib", self.memory_gib, above=0)
        expected.number("executor.poll_s", self.poll_s, above=0)

    def __call__(
        self, objective: Objective, workers: int, evaluation_timeout_s: float | None
    ) -> Executor:
        """Return an executor that submits a job for each evaluation."""
        from experiments.running.executors.on_slurm import OnSlurm

        resources = objective.resources
        given: dict[str, Any] = {
            "time": math.ceil(self.time_min),
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "mem": None if self.memory_gib is None else f"{math.ceil(self.memory_gib * 1024)}M",
            "cpus_per_task": max(resources.cores, 1),
            "gpus_per_node": resources.gpus or None,
            "exclusive": True if resources.whole_host else None,
            "setup": list(self.setup) or None,
            "signal_delay_s": 30,
            "additional_parameters": {"no-requeue": True, **self.extra},
        }
        parameters = {key: value for key, value in given.items() if value is not None}
        return OnSlurm(objective, evaluation_timeout_s, parameters, float(self.poll_s))


def executor_of(settings: dict[str, Any]) -> ExecutorFactory:
    """Return the factory that the settings of conf/executor/*.yaml describe; `auto` if empty.

    Raises:
        ValueError: the settings describe something else, or their values are out of range.
        HydraException: nothing can be created from the settings.
    """
    if not settings:
        return auto
    made = instantiate(settings, _convert_="all")
    if not callable(made):
        raise ValueError(f"executor: expected a maker of executors, got {type(made).__name__}")
    factory: ExecutorFactory = made
    return factory


def made_by(
    factory: ExecutorFactory, objective: Objective, workers: int, evaluation_timeout_s: float | None
) -> Executor:
    """Return the executor that a factory makes.

    Raises:
        ValueError: the factory makes something else, or it refuses the arguments.
    """
    try:
        made: Any = factory(objective, workers, evaluation_timeout_s)
    except TypeError as error:
        if "argument" not in str(error):
            raise  # an error inside the factory, not in its call
        raise ValueError(f"executor: expected a maker of executors, got: {error}") from None
    if not all(callable(getattr(made, name, None)) for name in ("start", "submit", "next")):
        raise ValueError(f"executor: expected an executor, got {type(made).__name__}")
    executor: Executor = made
    return executor


def clock_of(factory: ExecutorFactory, objective: Objective) -> dict[str, Any] | None:
    """Return the settings of the simulated clock of a factory's executors; None if it is real."""
    clock = getattr(factory, "clock", None)
    return None if clock is None else clock(objective)


def check_timeout(evaluation_timeout_s: object) -> None:
    """Raise `ValueError` unless the time limit is None or a positive number of seconds."""
    expected.null_or(expected.number, "evaluation_timeout_s", evaluation_timeout_s, above=0)
