"""The settings of a measurement: repetitions, time limits, and conditions of validity."""

from dataclasses import dataclass

from objectives import expected

MOST_REPEATS = 2  # repetitions of an invalid evaluation


@dataclass(frozen=True)
class Measuring:
    """The settings of a measurement; `conf/objective/serving.yaml` describes them.

    Attributes:
        reference_runs: number of measurements of the default configuration; their median is used.
        repeats: number of repetitions of an invalid evaluation.
        warmup_requests: number of requests that are sent concurrently before the load, unmeasured.
        port: the server's port; 0 means any free port.
        startup_timeout_s, load_timeout_s: time limits of the start-up and of the load.
        memory_limit_gib: limit of the server's address space; None means the machine's memory.
        max_foreign_cores: limit on the CPU use of other processes; None means no limit.
        max_late_s: limit on the client's lateness.
        seed: seed of the load.

    Raises:
        ValueError: a setting is invalid.
    """

    reference_runs: int
    repeats: int
    warmup_requests: int
    port: int
    startup_timeout_s: float
    load_timeout_s: float
    memory_limit_gib: float | None
    max_foreign_cores: float | None
    max_late_s: float
    seed: int

    def __post_init__(self) -> None:
        expected.whole("objective.reference_runs", self.reference_runs, 1)
        expected.whole("objective.repeats", self.repeats, 0, MOST_REPEATS)
        expected.whole("objective.warmup_requests", self.warmup_requests, 0)
        expected.whole("objective.port", self.port, 0, 65535)
        expected.whole("objective.seed", self.seed, 0)
        for name in ("startup_timeout_s", "load_timeout_s", "max_late_s"):
            expected.number(f"objective.{name}", getattr(self, name), above=0, below=1e12)
        for name in ("memory_limit_gib", "max_foreign_cores"):
            limit = getattr(self, name)
            expected.null_or(expected.number, f"objective.{name}", limit, above=0, below=1e12)

    @property
    def memory_limit_bytes(self) -> int | None:
        """The limit on the server's memory in bytes."""
        return None if self.memory_limit_gib is None else int(self.memory_limit_gib * 2**30)
