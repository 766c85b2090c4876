"""Where things are kept that are made once per user and machine: models, data, references."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of what is made once per user: TUNEOFF_CACHE, or the XDG cache."""
    if chosen := os.environ.get("TUNEOFF_CACHE"):
        return Path(chosen).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "tuneoff"
