"""Command lines of paths and settings: `FOLDER... key=value...`, in any order."""

from collections.abc import Sequence
from pathlib import Path


def split(arguments: Sequence[str], keys: Sequence[str]) -> tuple[list[Path], dict[str, str]]:
    """Return the paths, and the settings by key.

    Args:
        arguments: words; one with `=` that is no setting may be an existing path.
        keys: of the settings.

    Raises:
        ValueError: a word is no setting, or there is no path.
    """
    paths: list[Path] = []
    given: dict[str, str] = {}
    for word in arguments:
        key, equals, value = word.partition("=")
        if equals and key in keys:
            given[key] = value
        elif equals and not Path(word).exists():
            raise ValueError(f"{key}: expected one of {', '.join(keys)}, got {word}")
        else:
            paths.append(Path(word))
    if not paths:
        raise ValueError("FOLDER: expected at least one folder of results, got none")
    return paths, given


def number(given: dict[str, str], key: str, default: float) -> float:
    """Return a setting that is a number.

    Raises:
        ValueError: it is none.
    """
    try:
        return float(given.get(key, default))
    except ValueError:
        raise ValueError(f"{key}: expected a number, got {given[key]}") from None
