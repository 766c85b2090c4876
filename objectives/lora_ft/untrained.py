"""The scores of the model before any training: measured once per machine, then read from a cache.

They are the scores of every configuration before its first step, because B = 0. The file's name is
a digest of all that they depend on: the data, the model, the device, the precision, the numbers of
items and the metrics.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from objectives.cache import cache_folder
from objectives.lora_ft.measures import Measured


def untrained(depends_on: Mapping[str, Any], measure: Callable[[], Measured]) -> Measured:
    """Return the untrained model's scores, from the cache if they are present.

    A cache that is damaged or that cannot be written is not used: the scores are measured again.

    Args:
        depends_on: plain JSON values that the scores depend on.
        measure: a function that scores the untrained model.
    """
    text = json.dumps(depends_on, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = cache_folder() / "lora_ft" / f"untrained-{digest[:16]}.json"
    found = _read(path)
    if found is None:
        found = measure()
        _write(path, json.dumps({**vars(found), "depends_on": depends_on}, indent=1))
    return found


def _read(path: Path) -> Measured | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        metrics = {str(name): float(x) for name, x in content["metrics"].items()}
        items = {str(name): str(packed) for name, packed in content["items"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Measured(metrics, items)


def _write(path: Path, text: str) -> None:
    """Write a file atomically: if the process is killed, the file is complete or absent."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
    except OSError:
        pass
