"""The scores of the untrained model, read from `untrained.json`."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

NAME = "untrained.json"


@dataclass(frozen=True)
class Untrained:
    """The losses of the selection set's items (128,), in nats per token."""

    items: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path) -> Self:
        packed = json.loads(path.read_text())["selection 1"]
        return cls(np.frombuffer(base64.b64decode(packed), dtype="<f2").astype(np.float64))

    def loss(self, items: NDArray[np.float64]) -> float:
        """Return the loss of all items, estimated from the mean change on the first items."""
        change = items.mean() - self.items[: len(items)].mean()
        return round(float(self.items.mean() + change), 6)
