"""The command line that puts a configuration to use, as data that a log can hold.

An objective states a `Deployment`: the words of a command with placeholders. The header of the log
holds it, so that `tuneoff best` can print the command of any configuration without the objective.

An entry of the words is one of the following:

- A text with placeholders, such as `--lora_r={lora_rank}`. An entry is left out if the
  configuration lacks one of its parameters. `{n_parallel*160}` is a multiple of a whole number.
- A choice, such as `{"by": "dtype", "cases": {"none": []}, "else": ["--dtype={dtype}"]}`. It stands
  for the entries of the case that equals the parameter's value in JSON (`true`, `8`, or a text
  without its quotes), or else for those of `else`; for those of `absent` if the configuration lacks
  the parameter. Each of the three may be left out, and then stands for nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from objectives import expected
from objectives.trial import Config, Value

Entry = str | dict[str, Any]

_PLACE = re.compile(r"\{([A-Za-z_]\w*)(?:\*(\d+))?\}")

_DEEPEST = 20  # choices inside choices


@dataclass(frozen=True)
class Deployment:
    """The command line with which a configuration is used in practice.

    Attributes:
        name: the name of the program in messages.
        words: the entries of its command line.
        environment: variables that are set for the program.
        stands_for: the meaning of parameters that the program does not have: their values under
            `config`, and the program's own parameters under `flags`.

    Raises:
        ValueError: the words are not a list of entries.
    """

    name: str
    words: list[Entry]
    environment: dict[str, str] = field(default_factory=dict)
    stands_for: list[dict[str, Config]] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_words(self.words)

    def command(self, config: Config) -> list[str]:
        """Return the words of the command line of a configuration."""
        return fill(self.words, self._own(config))

    def settings(self, config: Config) -> dict[str, Any]:
        """Return the flags of a configuration as nested settings, in the form of `settings_of`."""
        return settings_of(self.command(config))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the header of a log holds them."""
        return dict(vars(self))

    def _own(self, config: Config) -> Config:
        """Return a configuration in the program's own parameters."""
        replaced = {name for case in self.stands_for for name in case["config"]}
        flags: Config = {}
        for case in self.stands_for:
            if all(config.get(name) == value for name, value in case["config"].items()):
                flags |= case["flags"]
        return {**{k: x for k, x in config.items() if k not in replaced}, **flags}


def fill(entries: Sequence[Entry], config: Config) -> list[str]:
    """Return the words of a configuration.

    Raises:
        ValueError: a multiple is requested of a value that is not an integer.
    """
    words: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            word = _word(entry, config)
            words += [] if word is None else [word]
        else:
            words += fill(_case(entry, config), config)
    return words


def check_words(entries: Any, depth: int = 0) -> None:
    """Raise `ValueError` unless a value is a list of entries, as a log may hold anything."""
    if not isinstance(entries, list) or depth > _DEEPEST:
        raise ValueError(f"deployment.words: expected a list of entries, got {entries!r:.80}")
    for entry in entries:
        if isinstance(entry, str):
            continue
        if not isinstance(entry, dict) or not isinstance(entry.get("by"), str):
            raise ValueError(f"deployment.words: expected a text or a choice, got {entry!r:.80}")
        cases = entry.get("cases", {})
        if not isinstance(cases, dict):
            raise ValueError(f"deployment.words: expected cases by value, got {cases!r:.80}")
        for inner in [*cases.values(), entry.get("else", []), entry.get("absent", [])]:
            check_words(inner, depth + 1)


def settings_of(words: Sequence[str]) -> dict[str, Any]:
    """Return the flags `--key=value` of a command as nested settings, by the dots of the keys.

    The form is what the program's option `--config` reads from a YAML file. A flag without a value
    is true, or false if it begins with `--no-`. Words that are not flags are left out.
    """
    settings: dict[str, Any] = {}
    for word in words:
        if not word.startswith("--"):
            continue
        key, equals, text = word[2:].partition("=")
        value: Any = _parsed(text) if equals else not key.startswith("no-")
        *above, last = (key if equals or value else key[3:]).split(".")
        inner = settings
        for name in above:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise ValueError(f"deployment.words: expected settings below {name}, got {word}")
        inner[last] = value
    return settings


def _word(entry: str, config: Config) -> str | None:
    """Return a text with its placeholders filled; None if the configuration lacks a parameter."""
    named = _PLACE.findall(entry)
    if any(name not in config for name, _ in named):
        return None
    return _PLACE.sub(lambda found: _shown(config[found[1]], found[2]), entry)


def _shown(value: Value, factor: str | None) -> str:
    if not factor:
        return str(value)
    if not expected.is_whole(value):
        expected.refuse("deployment.words", f"an integer times {factor}", value)
    return str(int(value) * int(factor))


def _case(entry: Mapping[str, Any], config: Config) -> Sequence[Entry]:
    entries: Sequence[Entry]
    if entry["by"] not in config:
        entries = entry.get("absent", [])
        return entries
    value = config[entry["by"]]
    key = value if isinstance(value, str) else json.dumps(value)
    entries = entry.get("cases", {}).get(key, entry.get("else", []))
    return entries


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
        return value
    except (ValueError, RecursionError):  # a word, or a number that JSON does not know
        return text
