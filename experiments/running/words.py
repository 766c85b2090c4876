"""Words of a command line other than settings: options, misspelt words, requests for help."""

import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from experiments.running.readers import path
from objectives.expected import did_you_mean

CONFIG_DIR = "--config-dir"
CONFIG_DIR_MEANING = (
    "A folder with YAMLs of your own below optimizer/, objective/ and experiment/. "
    "Their classes may lie in any package that is installed, or in the current folder."
)


_LONGEST = 100  # the number of characters of a word that a message quotes
_HELP = ("-h", "--help")


def wants_help(arguments: Sequence[str]) -> bool:
    """Return whether the words contain a request for help."""
    return any(word in _HELP for word in arguments)


def take_config_dirs(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Split off every `--config-dir FOLDER` and `--config-dir=FOLDER`.

    Returns:
        The remaining words, and the folders.

    Raises:
        ValueError: a folder does not exist.
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
    """Return pairs of each word and the word after it; "" follows the last word."""
    return [(word, next(iter(words[place + 1 :]), "")) for place, word in enumerate(words)]


def unknown(
    word: str, names: Sequence[str], takes_config_dir: bool = False, following: str = ""
) -> str:
    """Return the error message for a word that is not a setting of the command.

    Args:
        word: the word.
        names: the names of the command's settings.
        takes_config_dir: whether the command accepts `--config-dir`.
        following: the next word, which may be the value of an option written as `--name value`.
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
    meant = did_you_mean(bare, names)
    return f"{bare or 'settings'}: expected one of {known}, got {word}{meant}"


def table(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return the lines of a table of terms and their meanings, with long lines wrapped."""
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
