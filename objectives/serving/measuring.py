"""The settings of a measurement: repetitions, time limits, and conditions of validity."""

from dataclasses import dataclass

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
        for name, least in (("reference_runs", 1), ("repeats", 0), ("warmup_requests", 0)):
            _whole(name, getattr(self, name), least)
        for name, most in (("repeats", MOST_REPEATS), ("port", 65535)):
            if _whole(name, getattr(self, name), 0) > most:
                got = getattr(self, name)
                raise ValueError(f"objective.{name}: expected at most {most}, got {got}")
        _whole("seed", self.seed, 0)
        for name in ("startup_timeout_s", "load_timeout_s", "max_late_s"):
            _positive(name, getattr(self, name))
        for name in ("memory_limit_gib", "max_foreign_cores"):
            if getattr(self, name) is not None:
                _positive(name, getattr(self, name))

    @property
    def memory_limit_bytes(self) -> int | None:
        """The limit on the server's memory in bytes."""
        return None if self.memory_limit_gib is None else int(self.memory_limit_gib * 2**30)


def _whole(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"objective.{name}: expected a whole number >= {least}, got {value!r}")
    return value


def _positive(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < float(str(value)) < 1e12:
        raise ValueError(f"objective.{name}: expected a positive number, got {value!r}")
