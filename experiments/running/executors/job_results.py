"""What submitit saved at the end of a job, read without executing code.

submitit pickles the result of a job into the run's folder. This folder may come from somebody else,
so only the classes that an answer consists of are loaded.
"""

import io
import pickle
from pathlib import Path
from typing import Any

_KINDS = {
    "experiments.running.executors.executor": {"Answer"},
    "objectives.trial": {"Evaluation", "Trial"},
}
"""What a result consists of, beside plain values: names by module."""


class _Results(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in _KINDS.get(module, ()):
            raise ValueError(f"expected the answer of a job, got {module}.{name} in it")
        return super().find_class(module, name)


def read(path: Path) -> tuple[str, Any] | None:
    """Return the kind of a job's outcome and the outcome; None if there is none yet.

    Raises:
        ValueError: the file contains something else than an answer, a text or numbers.
    """
    if not path.exists():
        return None
    try:
        kind, result = _Results(io.BytesIO(path.read_bytes())).load()
    except Exception as error:  # a malformed pickle raises errors of any type
        raise ValueError(
            f"{path}: expected the result of a job of this run, got {error}; delete the file"
        ) from None
    return kind, result
