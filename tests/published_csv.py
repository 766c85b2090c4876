"""The published evaluations, which are not part of the project: tests that need them are marked."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FOLDERS = [os.environ.get("TUNEOFF_DATA", ""), str(Path(__file__).parents[2] / "shared" / "data")]
_PATHS = [Path(f) / "lora_hpo_evaluations" / "llama_3_2_1b.csv" for f in _FOLDERS if f]
CSV: Path | None = next((path for path in _PATHS if path.exists()), None)


def needs_csv(test: Callable[..., None]) -> Any:
    """Collect a test if the CSV file exists; otherwise name it in one of pytest's warnings."""
    if CSV is not None:
        return test
    warnings.warn(
        f"not run: {test.__name__} needs $TUNEOFF_DATA/lora_hpo_evaluations/llama_3_2_1b.csv",
        stacklevel=2,
    )
    return None
