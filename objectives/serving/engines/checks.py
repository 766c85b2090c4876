"""Checks of the settings that engines share, made before anything is started."""

from collections.abc import Mapping
from typing import Any

from objectives import expected

_RULE = "text or a number; put quotes around text that looks like something else"


def checked_tokens(tokens: Any) -> tuple[int, int]:
    """Return the first and the last token id that prompts are drawn from.

    Raises:
        ValueError: the setting is not a pair of valid token ids.
    """
    pair = isinstance(tokens, list | tuple) and len(tokens) == 2
    if not pair or not all(map(expected.is_whole, tokens)) or not 0 <= tokens[0] < tokens[1]:
        expected.refuse("objective.engine.tokens", "the first and the last id", tokens)
    return int(tokens[0]), int(tokens[1])


def checked_environment(environment: Any) -> dict[str, str]:
    """Return the environment variables that are added for a server, as text.

    A boolean is refused, because programs differ in what they read as true. A program that only
    tests whether a variable is empty would read both `True` and `False` as true.

    Raises:
        ValueError: the setting holds something else, or a value is neither text nor a number.
    """
    where = "objective.engine.environment"
    if not isinstance(environment, Mapping):
        raise ValueError(
            f"{where}: expected environment variables with their values, got {environment!r}"
        )
    for name, value in environment.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise ValueError(f"{where}: expected the names of environment variables, got {name!r}")
        _check_word(f"{where}.{name}", value)
    return {name: str(value) for name, value in environment.items()}


def checked_flags(flags: Any) -> list[str]:
    """Return the additional arguments of a program, as text.

    Raises:
        ValueError: the setting holds something else, or a value is neither text nor a number.
    """
    where = "objective.engine.flags"
    if not isinstance(flags, list | tuple):
        raise ValueError(f"{where}: expected a list of words, got {flags!r}")
    for place, flag in enumerate(flags):
        _check_word(f"{where}.{place}", flag)
    return [str(flag) for flag in flags]


def _check_word(where: str, value: Any) -> None:
    if not (isinstance(value, str) or expected.is_number(value)) or "\0" in str(value):
        expected.refuse(where, _RULE, value)
