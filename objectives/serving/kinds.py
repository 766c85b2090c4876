"""The permitted values of an engine's parameter: a switch, an integer, a number or a word.

Two mistakes are refused when the space is read. A switch that is given as text or as 0 and 1 would
start the same server for both values. A size of 1.5 would be refused by the engine, but only after
minutes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from objectives import expected

_VALUE_KEYS = ("lower", "upper", "value")


@dataclass(frozen=True)
class Kind:
    """The values that a parameter may have.

    Attributes:
        type: bool, int, float (integers are permitted too) or str.
        least, most: the bounds of a number.
        words: the permitted words of a text; if empty, any text is permitted.
    """

    type: type[bool] | type[int] | type[float] | type[str]
    least: float | None = None
    most: float | None = None
    words: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """The rule for a value, as text for messages."""
        if self.type is bool:
            return "true or false"
        if self.type is str:
            return f"one of {', '.join(self.words)}" if self.words else "a word"
        what = "an integer" if self.type is int else "a finite number"
        return what + expected.bounds_in_words(least=self.least, most=self.most)

    def allows(self, value: object) -> bool:
        """Return whether a parameter may have a value."""
        if self.type is bool or isinstance(value, bool):
            return self.type is bool and isinstance(value, bool)
        if self.type is str or isinstance(value, str):
            return self.type is str and isinstance(value, str) and value in (self.words or (value,))
        if self.type is int:
            return expected.is_whole(value, self.least, self.most)
        return expected.is_number(value, least=self.least, most=self.most)


SWITCH = Kind(bool)
SHARE = Kind(float, least=0.0, most=1.0)
WORD = Kind(str)


def whole(least: int = 1, most: int | None = None) -> Kind:
    """Return the kind of an integer parameter."""
    return Kind(int, least, most)


def one_of(*words: str) -> Kind:
    """Return the kind of a parameter that is one of several words."""
    return Kind(str, words=words)


def check_space(kinds: Mapping[str, Kind], space: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `ValueError` if a space offers a value that its parameter cannot have.

    Args:
        kinds: the kinds by parameter; a parameter without a kind is not checked.
        space: descriptions for `objectives.space.build_space`, which checks everything else.
    """
    for name, description in space.items():
        kind = kinds.get(name)
        if kind is None or not isinstance(description, Mapping):
            continue
        where = f"objective.space.{name}"
        if description.get("type") == "float" and kind.type is int:
            raise ValueError(f"{where}: expected {kind.rule}, got the type float; take int")
        for value in _values(description):
            _check(where, kind, value)


def check_config(kinds: Mapping[str, Kind], where: str, config: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a configuration holds a value that its parameter cannot have."""
    for name, value in config.items():
        if name in kinds:
            _check(f"{where}.{name}", kinds[name], value)


def _values(description: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the values of a description, except the ones that stand for an absent flag."""
    choices = description.get("choices")
    if isinstance(choices, list | tuple):
        yield from choices
    for key in _VALUE_KEYS:
        if description.get(key) is not None:
            yield description[key]


def _check(where: str, kind: Kind, value: object) -> None:
    if not kind.allows(value):
        quoted = kind.type is str and isinstance(value, bool)
        hint = "; put words such as on and off in quotes" if quoted else ""
        expected.refuse(where, kind.rule, value, hint)
