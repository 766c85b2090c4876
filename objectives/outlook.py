"""What can be said of an objective's evaluations before any is made."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outlook:
    """What an evaluation will take, and what would stop it, as far as is known without one.

    Attributes:
        seconds: the duration of a full evaluation in seconds; None if it is unknown.
        disk_gib: the disk space in GiB that one evaluation takes beside the log; None if it is
            unknown.
        faults: what would stop an evaluation, one line each.
    """

    seconds: float | None = None
    disk_gib: float | None = None
    faults: Sequence[str] = ()
