"""The settings that determine a run, as plain values."""

import math
from dataclasses import dataclass, field
from typing import Any

Settings = dict[str, Any]


@dataclass(frozen=True)
class RunSettings:
    """The settings that determine a run, as plain values.

    Attributes:
        names: the names of the two YAML files, under the keys `optimizer` and `objective`.
        optimizer: the optimizer's settings, resolved, with `_target_`.
        objective: the objective's settings, resolved, with `_target_`.
        seed: the seed of the run.
        budget: the budget in full-evaluation equivalents.
        workers: the number of trials that are evaluated at once.
        optimizer_as_written: the optimizer's settings before interpolation, if they differ from
            `optimizer`. The identity is computed from these, so that it does not depend on the
            number that `${budget}` stands for.
        evaluation_timeout_s: the time in seconds after which an evaluation counts as failed;
            None means no limit.
        executor: the executor's settings, resolved, with `_target_`; empty means `auto`.
        gpus: the GPUs of each evaluation, which the objective's settings contain already; None
            means as many as these say.
        start: the setting `start` as plain values; None means that the optimizer begins.
        transfer: the setting `transfer` as plain values; None means that there are no earlier runs.
        stop: the settings of the rule that may end the run early, resolved, with `_target_`;
            empty means none.
    """

    names: dict[str, str]
    optimizer: Settings
    objective: Settings
    seed: int
    budget: float
    workers: int = 1
    optimizer_as_written: Settings = field(default_factory=dict)
    evaluation_timeout_s: float | None = None
    gpus: int | None = None
    start: Any = None
    transfer: Any = None
    executor: Settings = field(default_factory=dict)
    stop: Settings = field(default_factory=dict)

    def check(self) -> None:
        """Raise `ValueError` if any number in the settings of either object is not finite."""
        for family in ("optimizer", "objective"):
            _check_finite(family, getattr(self, family))


def _check_finite(where: str, settings: Any) -> None:
    """Raise `ValueError` if any number in the settings is infinite or NaN."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            _check_finite(f"{where}.{key}", value)
    elif isinstance(settings, list):
        for place, value in enumerate(settings):
            _check_finite(f"{where}.{place}", value)
    elif isinstance(settings, float) and not math.isfinite(settings):
        raise ValueError(f"{where}: expected a finite number, got {settings}")
