"""Reading of JSON objects from untrusted files; the type of every value is checked."""

from collections.abc import Callable
from typing import Any

from objectives.expected import bounds_in_words, is_number, is_whole, refuse


class Fields:
    """One JSON object.

    Every method returns the value of a key, and raises `ValueError` if the key is missing or its
    value has another type.
    """

    def __init__(self, value: Any, where: str = "") -> None:
        """Wrap a JSON object.

        Args:
            value: the object, as returned by `json.loads`.
            where: the prefix of error messages, such as `header`.

        Raises:
            ValueError: the value is not an object.
        """
        self._where = where
        if not isinstance(value, dict):
            refuse(where or "event", "a JSON object", value)
        self._fields: dict[str, Any] = value

    def __contains__(self, key: str) -> bool:
        return key in self._fields

    def text(self, key: str) -> str:
        return str(self._get(key, "text", lambda x: isinstance(x, str)))

    def text_or_none(self, key: str) -> str | None:
        value: str | None = self._get(
            key, "text or null", lambda x: x is None or isinstance(x, str)
        )
        return value

    def whole(self, key: str, least: int = 0, most: int | None = None) -> int:
        rule = f"an integer{bounds_in_words(least=least, most=most)}"
        return int(self._get(key, rule, lambda x: is_whole(x, least, most)))

    def number(self, key: str) -> float:
        return float(self._get(key, "a finite number", is_number))

    def number_or_none(self, key: str) -> float | None:
        value = self._get(key, "a finite number or null", lambda x: x is None or is_number(x))
        return None if value is None else float(value)

    def boolean(self, key: str) -> bool:
        return bool(self._get(key, "true or false", lambda x: isinstance(x, bool)))

    def mapping(self, key: str) -> dict[str, Any]:
        value: dict[str, Any] = self._get(key, "a JSON object", lambda x: isinstance(x, dict))
        return value

    def numbers(self, key: str) -> dict[str, float]:
        """Return an object whose values are finite numbers."""
        value = self._get(
            key,
            "an object of finite numbers",
            lambda x: isinstance(x, dict) and all(map(is_number, x.values())),
        )
        return {name: float(number) for name, number in value.items()}

    def texts(self, key: str) -> dict[str, str]:
        """Return an object whose values are texts."""
        value: dict[str, str] = self._get(
            key,
            "an object of texts",
            lambda x: isinstance(x, dict) and all(isinstance(text, str) for text in x.values()),
        )
        return value

    def config(self, key: str) -> dict[str, Any]:
        """Return an object whose values are booleans, finite numbers or text."""
        value: dict[str, Any] = self._get(
            key,
            "a configuration of plain values",
            lambda x: isinstance(x, dict) and all(map(is_plain, x.values())),
        )
        return value

    def items(self, key: str) -> list[Any]:
        """Return a list."""
        value: list[Any] = self._get(key, "a list", lambda x: isinstance(x, list))
        return value

    def _get(self, key: str, rule: str, good: Callable[[Any], bool]) -> Any:
        place = f"{self._where}.{key}" if self._where else key
        if key not in self._fields:
            raise ValueError(f"{place}: expected {rule}, got no such key")
        value = self._fields[key]
        if not good(value):
            refuse(place, rule, value)
        return value


def is_plain(value: Any) -> bool:
    """Return whether a configuration may contain the value."""
    return isinstance(value, bool | str | int) or is_number(value)
