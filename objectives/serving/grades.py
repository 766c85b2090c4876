"""How bad a failure is: graded by how far the configuration got, not by the time it took.

Grades (shared by every serving objective; added to the score's ceiling, they lie above every
success):

    0.5              a hard limit of the SLO was broken, or more than half of the requests failed
    1 + (1 - k/n)    the load broke off after k of n requests
    2.5              the server died under load
    3                the start-up ran out of memory or time
    3.5              the start-up refused the flags
    4                known to be infeasible: never launched, cost 0

A fault of the host (other processes' CPU, a port taken, a client that was late) is no failure of
the configuration: the evaluation is invalid, is repeated, and is never scored (`Invalid`).
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
"""By status; `broke_off` grows to 2 with the share of the load that is missing."""

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
    """A configuration's own fault.

    Attributes:
        status: a key of `GRADES`.
        reason: one line for people.
        progress: share of the load that was done, in [0, 1].
        metrics, items: what was measured before it.
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
        """Where it happened: check, startup, load or score."""
        return STAGES[self.status]

    @property
    def grade(self) -> float:
        """How bad it is, in [0.5, 4]."""
        missing = 1 - self.progress if self.status == "broke_off" else 0.0
        return GRADES[self.status] + missing


class Invalid(Exception):
    """A fault of the host, for which no configuration is to blame: measure again."""


class SetUpError(HostFault):
    """The set-up cannot work, whatever is tried: the default fails, or there is no model.

    As a fault of the host it is not the failure of a trial: the run ends with this one line.
    """

    final = True


@dataclass(frozen=True)
class Record:
    """What the log says of a failed or invalid evaluation, beside its value."""

    stage: str
    status: str
    reason: str

    @property
    def error(self) -> str:
        """The line of the evaluation's `error`."""
        return f"{self.stage}: {self.status}: {self.reason}"

    @property
    def items(self) -> dict[str, str]:
        """The fields of the evaluation's `items`."""
        return {"status": self.status, "stage": self.stage}


def record(ended: Failure | Invalid) -> Record:
    """Return what the log says of a failure or an invalid evaluation: nothing secret."""
    if isinstance(ended, Failure):
        return Record(ended.stage, ended.status, cleared(ended.reason))
    return Record(INVALID_STAGE, "invalid", cleared(" ".join(str(ended).split())))
