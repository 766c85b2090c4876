"""The cache folder for files created once per user and machine: models, data, references."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the cache folder: TUNEOFF_CACHE if set, otherwise a folder in the XDG cache."""
    if chosen := os.environ.get("TUNEOFF_CACHE"):
        return Path(chosen).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "tuneoff"
