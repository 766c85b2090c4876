"""Read values of the right type from a JSON file's sections; errors name file and place."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from objectives import expected


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
                meant = expected.did_you_mean(key, known)
                raise ValueError(
                    f"{self.path}: {where or 'file'}: expected the keys {known}, got {key}{meant}"
                )
        return section

    def mapping(self, section: Mapping[str, Any], where: str, key: str) -> dict[str, Any]:
        """Return a subsection with at least one key."""
        found = section.get(key)
        if not isinstance(found, dict) or not found:
            expected.refuse(self._place(where, key), "an object with keys", found)
        return found

    def one_of(
        self, section: Mapping[str, Any], where: str, key: str, known: Collection[str]
    ) -> str:
        """Return one of several words."""
        return expected.one_of(self._place(where, key), section.get(key), known)

    def number(
        self, section: Mapping[str, Any], where: str, key: str, usual: float | None
    ) -> float:
        """Return a positive number; `usual` if the key is absent."""
        return float(expected.number(self._place(where, key), section.get(key, usual), above=0))

    def whole(self, section: Mapping[str, Any], where: str, key: str, usual: int) -> int:
        """Return an integer of at least 1."""
        return expected.whole(self._place(where, key), section.get(key, usual), 1)

    def switch(self, section: Mapping[str, Any], where: str, key: str) -> bool:
        """Return true or false; false if the key is absent."""
        return expected.switch(self._place(where, key), section.get(key, False))

    def listed(self, section: Mapping[str, Any], where: str, key: str, kind: type[Any]) -> Any:
        """Return a list of texts, or of integers of at least 1."""
        found, place = section.get(key), self._place(where, key)
        if not isinstance(found, list) or not found:
            expected.refuse(place, "a list of values", found)
        for value in found:
            good = expected.is_whole(value, 1) if kind is int else isinstance(value, str)
            if not good:
                rule = "integers of at least 1" if kind is int else "texts"
                expected.refuse(place, rule, value)
        return found

    def _place(self, where: str, key: str) -> str:
        return f"{self.path}: {where}.{key}" if where else f"{self.path}: {key}"


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.120}"


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
