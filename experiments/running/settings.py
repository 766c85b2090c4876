"""Parsing of command lines of the form `FOLDER... key=value ...`, in any order.

A command declares its settings. This module parses them, rejects unknown words and writes the
help text. It imports only light modules.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.running.mistakes import answered
from experiments.running.readers import Reader, path, text
from experiments.running.words import (
    CONFIG_DIR,
    CONFIG_DIR_MEANING,
    table,
    take_config_dirs,
    unknown,
    wants_help,
    with_following,
)

REQUIRED = object()
"""The default of a required setting."""


@dataclass(frozen=True)
class Setting:
    """One `key=value` setting of a command.

    Attributes:
        name: the key.
        meaning: the description in the help text.
        read: converts the text after `=` to the value.
        default: the value if the setting is not given; `REQUIRED` if it must be given.
        shown: the default as shown in the help text; "" shows `default` itself.
    """

    name: str
    meaning: str
    read: Reader = text
    default: Any = None
    shown: str = ""


@dataclass(frozen=True)
class Given:
    """A parsed command line: the paths, and the value of every setting."""

    folders: list[Path]
    values: dict[str, Any]
    config_dirs: list[Path] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


@dataclass(frozen=True)
class Command:
    """A command of `tuneoff`: its settings and its help text.

    Attributes:
        name: the word after `tuneoff`.
        summary: a description in one line.
        examples: pairs of a command line and its explanation.
        settings: the `key=value` arguments.
        folders: the meaning of the path arguments; "" if the command takes no paths.
        least_folders: the smallest number of paths.
        notes: paragraphs below the arguments in the help text.
        takes_config_dir: whether `--config-dir` may name a folder of the user's YAML files.
        module: the module that is run by `python -m`, if the command is not part of `tuneoff`.
    """

    name: str
    summary: str
    examples: Sequence[tuple[str, str]]
    settings: Sequence[Setting] = ()
    folders: str = ""
    least_folders: int = 1
    notes: str = ""
    takes_config_dir: bool = False
    module: str = ""

    @property
    def typed(self) -> str:
        """The words that a user types before the arguments."""
        return f"python -m {self.module}" if self.module else f"tuneoff {self.name}"

    def read(self, arguments: Sequence[str]) -> Given:
        """Parse the words of a command line.

        Raises:
            ValueError: a word is unknown or invalid, or a required argument is missing.
        """
        words = list(arguments)
        config_dirs: list[Path] = []
        if self.takes_config_dir:
            words, config_dirs = take_config_dirs(words)
        by_name = {setting.name: setting for setting in self.settings}
        values: dict[str, Any] = {}
        folders: list[Path] = []
        for word, following in with_following(words):
            key, equals, value = word.partition("=")
            if equals and key in by_name:
                setting = by_name[key]
                unset = value == "null" and setting.default is not REQUIRED
                values[key] = setting.default if unset else setting.read(key, value)
            elif self.folders and not word.startswith("-") and (not equals or _exists(word)):
                folders.append(Path(word) if _exists(word) else path("FOLDER", word))
            else:
                raise ValueError(self._unknown(word, following))
        see = f"see {self.typed} --help"
        if self.folders and len(folders) < self.least_folders:
            raise ValueError(f"FOLDER: expected at least one folder of results, got none; {see}")
        for setting in self.settings:
            if setting.name not in values and setting.default is REQUIRED:
                name = setting.name
                raise ValueError(f"{name}: expected {name}=VALUE, got none; {see}")
            values.setdefault(setting.name, setting.default)
        return Given(folders, values, config_dirs)

    def _unknown(self, word: str, following: str) -> str:
        names = [setting.name for setting in self.settings]
        return unknown(word, names, self.takes_config_dir, following)

    def answer(self, arguments: Sequence[str], body: Callable[[Given], int]) -> int:
        """Print the help text or carry out the command; return the exit status."""
        if wants_help(arguments):
            print(self.help())
            return 0
        return answered(lambda: body(self.read(arguments)), arguments)

    def help(self) -> str:
        """Return the help text of the command."""
        folders = "FOLDER..." if self.least_folders else "[FOLDER...]"
        folders = f"{folders} " if self.folders else ""
        lines = [f"{self.typed} {folders}[key=value ...]", "", self.summary, "", "Examples:"]
        width = max(len(line) for line, _ in self.examples)
        lines += [f"  {line.ljust(width)}  # {what}" for line, what in self.examples]
        lines += ["", "Arguments:"]
        rows = [("FOLDER", self.folders)] if self.folders else []
        rows += [(f"{one.name}=", _described(one)) for one in self.settings]
        if self.takes_config_dir:
            rows.append((f"{CONFIG_DIR}=FOLDER", CONFIG_DIR_MEANING))
        rows.append(("--help", "Print this text."))
        lines += table(rows)
        return "\n".join([*lines, *(["", self.notes] if self.notes else [])])


def _described(setting: Setting) -> str:
    meaning = setting.meaning
    if setting.default is REQUIRED:
        return f"{meaning} Required."
    shown = setting.shown or setting.default
    shown = str(shown).lower() if isinstance(shown, bool) else "none" if shown is None else shown
    return f"{meaning} Default: {shown}."


def _exists(word: str) -> bool:
    return "\0" not in word and os.path.lexists(word)
