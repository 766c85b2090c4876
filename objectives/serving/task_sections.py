"""Read values of the right type from a JSON file's sections; errors name file and place."""

import json
import sys
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any


class Sections:
    """Reads values of the right type from a file's sections; errors name the place."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wrong(self, where: str, rule: str, value: object, then: str = "") -> ValueError:
        """Return the error that says what was expected at a place."""
        return ValueError(f"{self.path}: {where}: expected {rule}, got {_shown(value)}{then}")

    def keys(self, section: Any, where: str, known: list[str]) -> dict[str, Any]:
        """Return a section; raise if one of its keys is unknown."""
        if not isinstance(section, dict):
            raise self.wrong(where or "file", "an object with keys", section)
        for key in section:
            if key not in known:
                close = get_close_matches(key, known, n=1)
                meant = f"; did you mean {close[0]}?" if close else ""
                raise ValueError(
                    f"{self.path}: {where or 'file'}: expected the keys {known}, got {key}{meant}"
                )
        return section

    def mapping(self, section: Mapping[str, Any], where: str, key: str) -> dict[str, Any]:
        """Return a subsection with at least one key."""
        found = section.get(key)
        if not isinstance(found, dict) or not found:
            raise self.wrong(_place(where, key), "an object with keys", found)
        return found

    def one_of(
        self, section: Mapping[str, Any], where: str, key: str, known: Collection[str]
    ) -> object:
        """Return one of several words."""
        found = section.get(key)
        if not isinstance(found, str) or found not in known:
            raise self.wrong(_place(where, key), f"one of {list(known)}", found)
        return found

    def number(
        self, section: Mapping[str, Any], where: str, key: str, usual: float | None
    ) -> float:
        """Return a positive number, or None if the key is absent."""
        found = section.get(key, usual)
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        if not is_number or not 0 < found <= sys.float_info.max:
            raise self.wrong(_place(where, key), "a positive number", found)
        return float(found)

    def whole(self, section: Mapping[str, Any], where: str, key: str, usual: int) -> int:
        """Return an integer of at least 1."""
        found = section.get(key, usual)
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise self.wrong(_place(where, key), "a whole number >= 1", found)
        return found

    def switch(self, section: Mapping[str, Any], where: str, key: str) -> bool:
        """Return true or false; false if the key is absent."""
        found = section.get(key, False)
        if not isinstance(found, bool):
            raise self.wrong(_place(where, key), "true or false", found)
        return found

    def listed(self, section: Mapping[str, Any], where: str, key: str, kind: type[Any]) -> Any:
        """Return a list of texts, or of integers of at least 1."""
        found, place = section.get(key), _place(where, key)
        if not isinstance(found, list) or not found:
            raise self.wrong(place, "a list of values", found)
        for value in found:
            fits = isinstance(value, kind) and not isinstance(value, bool)
            if not fits or (kind is int and value < 1):
                rule = "whole numbers >= 1" if kind is int else "texts"
                raise self.wrong(place, rule, value)
        return found


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.120}"


def _place(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; raise ValueError if it cannot be read.

    A duplicate key in an object is refused, because Python's reader would drop the first value.
    """
    try:
        if not path.is_file() and path.exists():  # reading a pipe would wait for a writer
            raise ValueError("something that is not a regular file")
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except OSError as error:
        raise ValueError(f"task: expected a JSON file, got {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"task: expected JSON, got {path}: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; raise if a key occurs twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} twice in one object")
        found[key] = value
    return found
