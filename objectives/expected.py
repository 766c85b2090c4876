"""Validation of settings: one function for each kind of value.

Every function takes the name of a setting, such as `optimizer.eta`, and its value as YAML, the
command line or a caller gave it. It returns the value as a plain Python value, so that a NumPy
scalar becomes an `int` or a `float`. A value of another kind raises `ValueError` with one line:

    <where>: expected <rule>, got <value>[; <what to do>]

Booleans are not numbers, text is not a number even if it consists of digits, and a number is
finite. The module imports nothing of this project, so that optimizers may use it too.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeGuard, TypeVar

_SHOWN = 60  # the number of characters of a value that a message quotes

Checked = TypeVar("Checked")
Bounds = ParamSpec("Bounds")


def whole(where: str, value: object, least: int | None = None, most: int | None = None) -> int:
    """Return an integer that is neither below `least` nor above `most`."""
    plain = _plain(value)
    if not isinstance(plain, int) or not _within(plain, least=least, most=most):
        refuse(where, f"an integer{bounds_in_words(least=least, most=most)}", value)
    return plain


def number(
    where: str,
    value: object,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """Return a finite number within bounds; an integer is returned as an `int`.

    Args:
        where: the name of the setting.
        value: its value.
        least: the smallest number that is accepted.
        above: the number that an accepted one must exceed.
        most: the largest number that is accepted.
        below: the number that an accepted one must stay below.
    """
    bounds = {"least": least, "above": above, "most": most, "below": below}
    plain = _plain(value)
    if plain is None or not _finite(plain) or not _within(plain, **bounds):
        refuse(where, f"a finite number{bounds_in_words(**bounds)}", value)
    return plain


def switch(where: str, value: object) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        refuse(where, "true or false", value)
    return value


def text(where: str, value: object, what: str = "text") -> str:
    """Return text that is not empty; `what` describes the meaning of the text."""
    if not isinstance(value, str) or not value:
        refuse(where, what, value)
    return value


def path(where: str, value: object, what: str = "a path") -> Path:
    """Return a path with `~` expanded; `what` describes its content, which is not checked."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        refuse(where, what, value)
    try:
        return Path(value).expanduser()
    except RuntimeError:  # ~name, but no user has this name
        refuse(where, "the home folder of a user", value)


def one_of(where: str, value: object, choices: Iterable[str]) -> str:
    """Return one of some words."""
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        refuse(where, f"one of {', '.join(known)}", value, did_you_mean(value, known))
    return value


def keyed(where: str, value: object, what: str = "keys with values") -> Mapping[str, Any]:
    """Return a mapping whose keys are text; `what` describes its meaning."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        refuse(where, what, value)
    return value


def null_or(
    check: Callable[Concatenate[str, object, Bounds], Checked],
    where: str,
    value: object,
    *args: Bounds.args,
    **bounds: Bounds.kwargs,
) -> Checked | None:
    """Return None for None, and otherwise what `check`, one of the functions above, returns."""
    if value is None:
        return None
    try:
        return check(where, value, *args, **bounds)
    except ValueError as error:
        rule = str(error).removeprefix(f"{where}: expected ")
        raise ValueError(f"{where}: expected null or {rule}") from None


def is_whole(
    value: object, least: float | None = None, most: float | None = None
) -> TypeGuard[int]:
    """Return whether a value is an integer within bounds."""
    plain = _plain(value)
    return isinstance(plain, int) and _within(plain, least=least, most=most)


def is_number(
    value: object, *, least: float | None = None, most: float | None = None
) -> TypeGuard[float]:
    """Return whether a value is a finite number, which a float can represent, within bounds."""
    plain = _plain(value)
    return plain is not None and _finite(plain) and _within(plain, least=least, most=most)


def refuse(where: str, rule: str, value: object, advice: str = "") -> NoReturn:
    """Raise the `ValueError` of a setting; the value is quoted, shortened if it is long.

    Args:
        where: the name of the setting.
        rule: what was expected.
        value: what was given.
        advice: what to do, with its semicolon.
    """
    try:
        quoted = " ".join(repr(value).split())
    except Exception:  # such as an integer of too many digits
        quoted = f"a value of the type {type(value).__name__}"
    quoted = quoted if len(quoted) <= _SHOWN else f"{quoted[:_SHOWN]}..."
    raise ValueError(f"{where}: expected {rule}, got {quoted}{advice}")


def did_you_mean(name: object, known: Iterable[str], most: int = 1) -> str:
    """Return the advice to take one of at most `most` known names that are like another, or ''."""
    from difflib import get_close_matches  # only an error needs it

    close = get_close_matches(name, list(known), n=most) if isinstance(name, str) else []
    return f"; did you mean {' or '.join(close)}?" if close else ""


def parameters(
    where: str, given: Iterable[str], required: Sequence[str], optional: Sequence[str] = ()
) -> None:
    """Raise ValueError unless a space has the required parameters, and no other than optional ones.

    The message names the first parameter that is unknown or missing.
    """
    known, names = [*required, *optional], list(given)
    listed = ", ".join(known)
    for name in names:
        if name not in known:
            meant = did_you_mean(name, known)
            raise ValueError(f"{where}: expected parameters among {listed}, got {name}{meant}")
    for name in required:
        if name not in names:
            raise ValueError(f"{where}: expected the parameter {name}, got none of this name")


def bounds_in_words(
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> str:
    """Return bounds as they follow `a finite number` in a message, such as ` of at least 1`."""
    ends = [
        f"{words} {_shown(bound)}"
        for words, bound in (
            ("at least", least),
            ("above", above),
            ("at most", most),
            ("below", below),
        )
        if bound is not None
    ]
    if not ends:
        return ""
    return f" {'of ' if ends[0].startswith('at') else ''}{' and '.join(ends)}"


def _shown(bound: float) -> str:
    exact = isinstance(bound, int) or float(f"{bound:g}") != bound
    return f"{bound}" if exact else f"{bound:g}"


def _plain(value: object) -> int | float | None:
    """Return a number as a plain Python value; None if the value is not a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Real)):
        return None
    return int(value) if isinstance(value, (int, Integral)) else float(value)


def _finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer of more than 308 digits
        return False


def _within(
    number: int | float,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> bool:
    return (
        (least is None or number >= least)
        and (above is None or number > above)
        and (most is None or number <= most)
        and (below is None or number < below)
    )
