"""The words of a command line, `FOLDER... key=value ...` in any order, read in one place.

A command declares its settings; this module reads them, refuses what it does not know, and
writes the help. It imports nothing heavy.
"""

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from experiments.running.mistakes import answered

Reader = Callable[[str, str], Any]
"""Turns the text of a setting into its value; the first argument is the setting's name."""

REQUIRED = object()
"""The default of a setting that must be given."""

CONFIG_DIR = "--config-dir"
_LONGEST = 100  # characters of a word that a message repeats
_HELP = ("-h", "--help")


def text(where: str, value: str) -> str:
    """Return a text that is not empty."""
    if not value:
        raise ValueError(f"{where}: expected a text, got ''")
    return value


def path(where: str, value: Any) -> Path:
    """Return a path with `~` expanded; a number or a list is refused as a likely mistake."""
    if not isinstance(value, str) or re.fullmatch(r"[\[{].*|[-+]?[\d.]+|true|false", value, re.S):
        example = f"; write ./{value} for a file of that name" if str(value).isalnum() else ""
        raise ValueError(f"{where}: expected a path, got {value}{example}")
    if not value.strip() or "\0" in value:
        raise ValueError(f"{where}: expected a path, got {value!r}")
    try:
        return Path(value).expanduser()
    except RuntimeError:  # ~name without such a user
        raise ValueError(f"{where}: expected the home folder of a user, got {value}") from None


def number(least: float | None = None, most: float | None = None, above: bool = False) -> Reader:
    """Return a reader of finite numbers.

    Args:
        least: the smallest number that is accepted.
        most: the largest.
        above: whether `least` itself is refused.
    """

    def read(where: str, value: str) -> float:
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        low = -math.inf if least is None else least
        inside = low <= found <= (math.inf if most is None else most)
        if not math.isfinite(found) or not inside or (above and found == low):
            raise ValueError(f"{where}: expected {_range(least, most, above)}, got {value}")
        return found

    return read


def _range(least: float | None, most: float | None, above: bool) -> str:
    rule = "a finite number"
    if least is not None:
        rule += f" above {least:g}" if above else f" of at least {least:g}"
    return rule if most is None else f"{rule} and at most {most:g}"


def whole(least: int, most: int | None = None) -> Reader:
    """Return a reader of integers."""
    rule = f"an integer of at least {least}" + ("" if most is None else f" and at most {most}")

    def read(where: str, value: str) -> int:
        digits = re.fullmatch(r"\+?(\d{1,18})", value, re.ASCII)
        found = int(digits[1]) if digits else -1
        if not digits or found < least or (most is not None and found > most):
            raise ValueError(f"{where}: expected {rule}, got {value}")
        return found

    return read


def switch(where: str, value: str) -> bool:
    """Return true or false."""
    if value.lower() not in ("true", "false"):
        raise ValueError(f"{where}: expected true or false, got {value}")
    return value.lower() == "true"


def one_of(*choices: str) -> Reader:
    """Return a reader of one of some words."""

    def read(where: str, value: str) -> str:
        if value not in choices:
            rule = " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"
            raise ValueError(f"{where}: expected {rule}, got {value}")
        return value

    return read


@dataclass(frozen=True)
class Setting:
    """One `key=value` of a command.

    Attributes:
        name: the key.
        meaning: what the help says of it.
        read: turns its text into its value.
        default: its value where it is not given; `REQUIRED`: it must be given.
        shown: the default as the help shows it; "": `default` itself.
    """

    name: str
    meaning: str
    read: Reader = text
    default: Any = None
    shown: str = ""


@dataclass(frozen=True)
class Given:
    """What a command line gives: the paths, and every setting with its value."""

    folders: list[Path]
    values: dict[str, Any]
    config_dirs: list[Path] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


@dataclass(frozen=True)
class Command:
    """A command of `tuneoff`: how its words are read, and its help.

    Attributes:
        name: what follows `tuneoff`.
        summary: what it does, in one line.
        examples: pairs of a command line and what it does.
        settings: its `key=value` arguments.
        folders: what the paths among its words are; "": it takes none.
        least_folders: how many it needs.
        notes: paragraphs below the arguments.
        takes_config_dir: whether `--config-dir` may name a folder of the user's YAMLs.
    """

    name: str
    summary: str
    examples: Sequence[tuple[str, str]]
    settings: Sequence[Setting] = ()
    folders: str = ""
    least_folders: int = 1
    notes: str = ""
    takes_config_dir: bool = False

    def read(self, arguments: Sequence[str]) -> Given:
        """Return what the words say.

        Raises:
            ValueError: a word is not understood, or something is missing.
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
        see = f"see tuneoff {self.name} --help"
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
        """Print the help, or do what the words say; return the exit status."""
        if wants_help(arguments):
            print(self.help())
            return 0
        return answered(lambda: body(self.read(arguments)), arguments)

    def help(self) -> str:
        """Return the help of the command."""
        folders = "FOLDER... " if self.folders else ""
        lines = [f"tuneoff {self.name} {folders}[key=value ...]", "", self.summary, "", "Examples:"]
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


CONFIG_DIR_MEANING = (
    "A folder with YAMLs of your own below optimizer/, objective/ and experiment/. "
    "Their classes may lie in any package that is installed, or in the current folder."
)


def wants_help(arguments: Sequence[str]) -> bool:
    """Tell whether the words ask for the help."""
    return any(word in _HELP for word in arguments)


def take_config_dirs(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Return the words without `--config-dir FOLDER` or `--config-dir=FOLDER`, and the folders.

    Raises:
        ValueError: there is no such folder.
    """
    rest: list[str] = []
    folders: list[Path] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag not in (CONFIG_DIR, "-cd"):
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        folder = path(CONFIG_DIR, value)
        if not folder.is_dir():
            raise ValueError(f"{CONFIG_DIR}: expected a folder of YAML files, got {value}")
        folders.append(folder.resolve())
    return rest, folders


def with_following(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return each word with the next one, "" for the last."""
    return [(word, next(iter(words[place + 1 :]), "")) for place, word in enumerate(words)]


def unknown(
    word: str, names: Sequence[str], takes_config_dir: bool = False, following: str = ""
) -> str:
    """Return the line that refuses a word which no setting explains.

    Args:
        word: the word.
        names: of the settings that there are.
        takes_config_dir: whether `--config-dir` is among them.
        following: the next word, the value of an option as other programs write it.
    """
    word = word if len(word) <= _LONGEST else f"{word[:_LONGEST]}..."
    flag = re.match(r"--?([A-Za-z][\w-]*)(=?)(.*)", word, re.S)
    known = ", ".join(names) or "no settings"
    if flag:
        name = flag[1].replace("-", "_")
        if name in names:
            value = flag[3] if flag[2] else following or "VALUE"
            typed = word if flag[2] else f"{word} {following}".strip()
            return f"{name}: expected {name}={value}, got {typed}"
        also = f", {CONFIG_DIR}" if takes_config_dir else ""
        return f"{word}: expected one of {known}{also} or --help, got {word}"
    key, equals, _ = word.partition("=")
    if not equals:
        return f"{word.strip() or repr(word)}: expected key=value with one of {known}, got {word!r}"
    bare = key.lstrip("+~")
    close = get_close_matches(bare, names, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"{bare or 'settings'}: expected one of {known}, got {word}{meant}"


def table(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return the lines of a table of terms and their meanings, wrapped."""
    from textwrap import wrap

    width = min(24, max(len(term) for term, _ in rows))
    lines: list[str] = []
    for term, meaning in rows:
        wrapped = wrap(" ".join(meaning.split()), 98 - width - 4) or [""]
        if len(term) > width:
            lines.append(f"  {term}")
            term = ""
        lines.append(f"  {term.ljust(width)}  {wrapped[0]}")
        lines += [f"  {'':{width}}  {line}" for line in wrapped[1:]]
    return lines


def _described(setting: Setting) -> str:
    meaning = setting.meaning
    if setting.default is REQUIRED:
        return f"{meaning} Required."
    shown = setting.shown or setting.default
    shown = str(shown).lower() if isinstance(shown, bool) else "none" if shown is None else shown
    return f"{meaning} Default: {shown}."


def _exists(word: str) -> bool:
    return "\0" not in word and os.path.lexists(word)
