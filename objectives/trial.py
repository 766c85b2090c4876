"""A trial is the question an optimizer asks; an evaluation is the answer it is told."""

from dataclasses import dataclass, field
from typing import Any

Value = bool | int | float | str
Config = dict[str, Value]
"""One point of a space in natural units: plain Python values that survive JSON.

Parameters that are inactive under the space's conditions are absent.
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration to evaluate.

    Attributes:
        id: 0, 1, 2, ... in the order in which the optimizer asked.
        config: the point, in natural units.
        fidelity: share of a full evaluation, in (0, 1].
        resumes: id of the trial whose checkpoint this one continues.
    """

    id: int
    config: Config
    fidelity: float = 1.0
    resumes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the log holds them; `resumes` only where it is set."""
        fields = {"id": self.id, "config": self.config, "fidelity": self.fidelity}
        return fields if self.resumes is None else {**fields, "resumes": self.resumes}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What evaluating a trial gave.

    Attributes:
        value: the number to minimise; None iff it failed and the objective grades no penalty.
        cost: seconds, measured or simulated.
        metrics: all else that was measured, in natural units and sign.
        error: set iff the evaluation failed. Statistics go by it, never by the size of `value`.
        items: per-item outcomes, packed as base64 of bits or float16.
    """

    value: float | None
    cost: float
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    items: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the log holds them; `items` only where there are any."""
        fields: dict[str, Any] = {
            "value": self.value,
            "cost": self.cost,
            "metrics": self.metrics,
            "error": self.error,
        }
        return {**fields, "items": self.items} if self.items else fields
