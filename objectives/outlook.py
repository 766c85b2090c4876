"""Predictions about an objective's evaluations before the first one."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outlook:
    """The expected cost of an evaluation and known obstacles, without making one.

    Attributes:
        seconds: the duration of a full evaluation in seconds; None if it is unknown.
        disk_gib: the disk space in GiB that one evaluation takes in addition to the log; None if it
            is unknown.
        faults: what would stop an evaluation, one line each.
        faults_here: what would stop an evaluation on this machine; a cluster may still make it.
    """

    seconds: float | None = None
    disk_gib: float | None = None
    faults: Sequence[str] = ()
    faults_here: Sequence[str] = ()
