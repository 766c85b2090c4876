"""Grade failures by how far the configuration got, not by the time until the failure.

All serving objectives share the grades. A grade is added to the score's ceiling, so that every
failure is worse than every success:

    0.5 a hard limit of the SLO was violated, or more than half of the requests failed 1 + (1 - k/n)
    the load was stopped after k of n requests 2.5 the server died under load 3 the start-up ran out
    of memory or time 3.5 the start-up refused the flags 4 known to be infeasible: not launched,
    cost 0

A fault of the host (CPU use of other processes, a port in use, a late client) is not a failure of
the configuration. The evaluation is then invalid (`Invalid`): it is repeated and never scored.
"""

from dataclasses import dataclass

from objectives.objective import HostFault
from objectives.serving.host.secrets import cleared

GRADES = {
    "slo": 0.5,
    "requests_failed": 0.5,
    "broke_off": 1.0,
    "died": 2.5,
    "out_of_memory": 3.0,
    "timed_out": 3.0,
    "refused": 3.5,
    "infeasible": 4.0,
}
"""Grades by status; that of `broke_off` grows to 2 with the missing share of the load."""

STAGES = {
    "slo": "score",
    "requests_failed": "load",
    "broke_off": "load",
    "died": "load",
    "out_of_memory": "startup",
    "timed_out": "startup",
    "refused": "startup",
    "infeasible": "check",
}
"""The stage at which each status ends an evaluation."""

INVALID_STAGE = "host"


class Failure(Exception):
    """A failure that the configuration caused.

    Attributes:
        status: a key of `GRADES`.
        reason: the reason, in one line for users.
        progress: completed share of the load, in [0, 1].
        metrics, items: what was measured before the failure.
    """

    def __init__(self, status: str, reason: str, progress: float = 0.0) -> None:
        assert status in GRADES and 0 <= progress <= 1
        super().__init__(reason)
        self.status = status
        self.reason = " ".join(reason.split())
        self.progress = progress
        self.metrics: dict[str, float] = {}
        self.items: dict[str, str] = {}

    @property
    def stage(self) -> str:
        """The stage of the failure: check, startup, load or score."""
        return STAGES[self.status]

    @property
    def grade(self) -> float:
        """The grade of the failure, in [0.5, 4]; larger is worse."""
        missing = 1 - self.progress if self.status == "broke_off" else 0.0
        return GRADES[self.status] + missing


class Invalid(Exception):
    """A fault of the host, which no configuration caused; the measurement is repeated."""


class SetUpError(HostFault):
    """The set-up cannot work for any trial: the default fails, or there is no model.

    Like a fault of the host, it is not the failure of a trial. The run ends with this message.
    """

    final = True


@dataclass(frozen=True)
class Record:
    """The log's record of a failed or invalid evaluation, in addition to its value."""

    stage: str
    status: str
    reason: str

    @property
    def error(self) -> str:
        """The text of the evaluation's `error`."""
        return f"{self.stage}: {self.status}: {self.reason}"

    @property
    def items(self) -> dict[str, str]:
        """The fields of the evaluation's `items`."""
        return {"status": self.status, "stage": self.stage}


def record(ended: Failure | Invalid) -> Record:
    """Return the log's record of a failed or invalid evaluation, with secrets removed."""
    if isinstance(ended, Failure):
        return Record(ended.stage, ended.status, cleared(ended.reason))
    return Record(INVALID_STAGE, "invalid", cleared(" ".join(str(ended).split())))
