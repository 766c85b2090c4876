"""Runs in Weights & Biases; offline unless the environment variable WANDB_MODE says otherwise.

Offline, W&B writes files below `wandb/` in the current folder (WANDB_DIR names another one) and
uses no network; `wandb sync` uploads them later.

- A run becomes a W&B run. The project is the objective's name for `tuneoff run`, and the sweep's
  name for `tuneoff sweep`, where runs are grouped by objective.
- Each evaluation is a step with its value, cost, metrics and configuration, the best value so far,
  and the numbers of failed and of repeated evaluations so far. `error` and `retried_because` are
  texts of the step.

A run that is started again is sent from its beginning under the same id, because nobody knows what
was uploaded; W&B replaces the earlier steps by the same ones. In a sweep, runs that had ended
before are not sent again.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.running.header import Header
from experiments.running.history import History
from experiments.running.tracking import LONGEST, Told, retries

_DEFAULTS = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}


def client() -> Any:
    """Return the module `wandb`.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    for key, value in _DEFAULTS.items():
        os.environ.setdefault(key, value)
    import wandb

    return wandb


def single_run() -> "WandbRun":
    """Return the record of a run of `tuneoff run`."""
    return WandbRun(client())


def whole_sweep(name: str, folder: str) -> "WandbSweep":
    """Return the record of a sweep."""
    return WandbSweep(client(), name)


class WandbRun:
    """A run as a W&B run."""

    tool = "W&B"

    def __init__(self, wandb: Any, project: str | None = None, name: str | None = None) -> None:
        """Create nothing yet.

        Args:
            wandb: the module.
            project: the project; None means the objective's name.
            name: the name of the run; None means its optimizer and seed.
        """
        self._wandb, self._project, self._name = wandb, project, name

    def open(self, history: History) -> None:
        """Create the run."""
        header = history.header
        assert header is not None
        names = header.names
        online = os.environ.get("WANDB_MODE") == "online"
        self._run = self._wandb.init(
            project=_legal(self._project or names["objective"]),
            name=self._name or f"{names['optimizer']} seed {header.seed}",
            group=names["objective"],
            job_type=names["optimizer"],
            id=_id(header),
            config=_config(header),
            resume="allow" if online else None,
            reinit="create_new",
            settings=self._wandb.Settings(
                console="off", disable_git=True, disable_code=True, x_disable_stats=True
            ),
        )

    def send(self, told: Sequence[Told]) -> None:
        """Send evaluations."""
        for one in told:
            self._run.log(_step(one), step=one.place)

    def end(self, history: History) -> None:
        """Send the tests of incumbents, say how the run ended, and close it."""
        summary: dict[str, Any] = {"state": "ended" if history.ended else "stopped"}
        retried = retries(history)
        if retried:
            summary |= {"retried": len(retried), "retried_because": retried[-1].reason[:LONGEST]}
        if history.stopped is not None:
            summary["stopped"] = history.stopped
        for test in history.tests():
            summary.update({f"test.{name}": x for name, x in test.metrics.items()})
        self._run.summary.update(summary)
        self._run.finish(exit_code=0 if history.ended else 1)


class WandbSweep:
    """The record of a sweep: a project, in which the runs are grouped by objective."""

    tool = "W&B"
    fills_up = False
    """Whether runs that ended before the sweep began are sent too, as far as they are missing."""

    def __init__(self, wandb: Any, name: str) -> None:
        self._wandb, self._name = wandb, name

    def run(self, name: str, header: Header) -> WandbRun:
        """Return the record of one of the sweep's runs."""
        return WandbRun(self._wandb, self._name, name)

    def counted(self, counts: Mapping[str, float], time: float, step: int) -> None:
        """Do nothing, because a project has no numbers of its own."""

    def end(self, complete: bool) -> None:
        """Do nothing, because a project does not end."""


def _step(one: Told) -> dict[str, Any]:
    """Return what a step shows."""
    found: dict[str, Any] = {**one.numbers(), **one.curves(), "trial": one.trial.id}
    found.update({f"config.{name}": setting for name, setting in one.trial.config.items()})
    if one.evaluation.error is not None:
        found["error"] = one.evaluation.error[:LONGEST]
    if one.retries:
        found["retries"] = len(one.retries)
        found["retried_because"] = one.retries[-1][:LONGEST]
    return found


def _config(header: Header) -> dict[str, Any]:
    own = {key: getattr(header, key) for key in ("seed", "budget", "workers", "identity")}
    return {**own, "optimizer": header.optimizer, "objective": header.objective}


def _id(header: Header) -> str:
    """Return an id that is unique to a log, even if its folder is moved."""
    return hashlib.sha256(f"{header.identity}-{header.time!r}".encode()).hexdigest()[:16]


def _legal(project: str) -> str:
    """Return a name without the characters that W&B refuses in names of projects."""
    return re.sub(r"[/\\#?%:]", "-", project)[:128]
