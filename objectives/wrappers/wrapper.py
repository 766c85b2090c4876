"""The base of objectives that wrap another objective and change its evaluations."""

from pathlib import Path
from typing import Any

from objectives.objective import Objective, Outlook
from objectives.trial import Evaluation, Trial


class Wrapper(Objective):
    """Passes everything through to the inner objective; a subclass overrides what it changes."""

    cheap = True  # the wrapper itself adds no time

    def __init__(self, inner: Objective) -> None:
        if not isinstance(inner, Objective):
            raise ValueError(f"inner: expected an objective, got {inner!r}")
        self.inner = inner
        self.space = inner.space
        self.resources = inner.resources
        self.fidelities = inner.fidelities
        self.default = inner.default
        self.version = inner.version
        self.cheap = inner.cheap
        self.simulates_cost = inner.simulates_cost
        self.noise_sd = inner.noise_sd
        self.goals = inner.goals
        self.limits = inner.limits
        self.front = inner.front
        self.hypervolume = inner.hypervolume
        self.optimum = inner.optimum
        self.minimisers = inner.minimisers

    @property
    def folder(self) -> Path | None:
        """The folder of the run, which is also set on the inner objective."""
        return self.inner.folder

    @folder.setter
    def folder(self, folder: Path | None) -> None:
        self.inner.folder = folder

    def evaluate(self, trial: Trial) -> Evaluation:
        return self.inner.evaluate(trial)

    def test(self, trial: Trial) -> dict[str, float]:
        return self.inner.test(trial)

    def outlook(self) -> Outlook:
        return self.inner.outlook()

    def fingerprint(self) -> dict[str, Any]:
        return self.inner.fingerprint()

    def notice(self) -> str | None:
        return self.inner.notice()
