"""Whether a log belongs to the requested run, and if not, what differs."""

from pathlib import Path
from typing import Any

from experiments.running.header import Header


def check_design(logged: Header, budget: float) -> None:
    """Raise `ValueError` unless the budget is the one that the design was computed for."""
    if budget != logged.budget:
        raise ValueError(
            f"budget: expected {logged.budget:g}, as the design of "
            f"{logged.names['optimizer']} was computed for it and cannot be extended, got "
            f"{budget:g}; give another out="
        )


_IDENTITY = (
    "seed",
    "workers",
    "clock",
    "objective",
    "optimizer",
    "optimizer_version",
    "fingerprint",
    "start",
    "transfer_digest",
)


def check_same(logged: Header, now: Header, path: Path) -> None:
    """Raise `ValueError` unless the log belongs to the requested run."""
    for key in _IDENTITY:
        found = difference(key, getattr(logged, key), getattr(now, key))
        if found is not None and logged.identity != now.identity:
            raise ValueError(f"{path}: {found}; give another out=, or the log's own settings")
    release = [version.split(".")[:2] for version in (_version(logged), _version(now))]
    if release[0] != release[1]:
        raise ValueError(
            f"{path}: expected the code that wrote the log, version {_version(logged)}, got "
            f"{_version(now)}; install that version, or give another out="
        )


def _version(header: Header) -> str:
    return header.code.get("version", "unknown")


def difference(where: str, logged: Any, now: Any) -> str | None:
    """Return a message that names the first difference of two plain values, or None."""
    if isinstance(logged, dict) and isinstance(now, dict):
        for key in [*logged, *(key for key in now if key not in logged)]:
            inner = difference(f"{where}.{key}", logged.get(key), now.get(key))
            if inner is not None:
                return inner
        return None
    return None if logged == now else f"expected {where}={logged} as in the log, got {now}"
