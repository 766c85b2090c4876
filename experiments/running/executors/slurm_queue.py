"""What Slurm says of its jobs, by its commands; its accounting database is not needed."""

import re
import shutil
import subprocess
from collections.abc import Iterable

_TIMEOUT_S = 60.0

CRASHED = ("COMPLETED", "FAILED", "OUT_OF_MEMORY")
"""The states of a job whose own process ended it; in any other state, Slurm or its node did."""

WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "SUSPENDED")


def check_installed() -> None:
    """Raise `ValueError` if Slurm is not installed."""
    for command in ("sbatch", "squeue"):
        if shutil.which(command) is None:
            raise ValueError(
                f"executor: expected the command {command} of Slurm, got none; "
                f"run tuneoff on a login node of the cluster"
            )


def jobs() -> dict[str, tuple[str, str]]:
    """Return the name and the state of the user's own jobs in the queue, by id.

    Raises:
        OSError: Slurm does not answer.
    """
    listed = _run("squeue", "--noheader", "--me", "--format=%A %T %j")
    found = {}
    for line in listed.splitlines():
        id, _, rest = line.strip().partition(" ")
        state, _, name = rest.partition(" ")
        found[id] = (name.strip(), state)
    return found


def final_state(id: str) -> str:
    """Return the state of a job that left the queue; `UNKNOWN` if Slurm has forgotten it."""
    try:
        shown = _run("scontrol", "--oneliner", "show", "job", id)
    except OSError:
        return "UNKNOWN"
    state = re.search(r"\bJobState=(\w+)", shown)
    return state[1] if state else "UNKNOWN"


def cancel(ids: Iterable[str]) -> None:
    """Cancel jobs; those that have ended already are left alone."""
    wanted = list(ids)
    if wanted:
        try:
            _run("scancel", *wanted)
        except OSError:
            return


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise OSError(f"executor: expected {command[0]} to answer, got none in time") from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())
        raise OSError(f"executor: expected an answer of {command[0]}, got: {reason}")
    return done.stdout
