"""Compose settings with Hydra from our YAML files, the user's, and the command line."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from experiments.running.mistakes import answered
from experiments.running.provenance import CONF
from experiments.running.whole_descriptions import replacing
from experiments.running.words import (
    CONFIG_DIR,
    CONFIG_DIR_MEANING,
    table,
    take_config_dirs,
    unknown,
    wants_help,
    with_following,
)
from experiments.running.yaml_words import read_words_as_typed
from objectives.expected import did_you_mean

FAMILIES = ("optimizer", "objective")
_SPACE = re.compile(r"objective(?:\.inner)*\.space\.")
_MAPPING = re.compile(r"(?:objective|optimizer|executor)(?:\.\w+)+=\{")  # a mapping as a setting
_GLOBAL = "# @package _global_"  # the first line of a YAML file that sets keys of its own
_ALLOWED = "objective.allowed="  # every objective may have it
_PLAIN = re.compile(r"[\w./:+-]*", re.ASCII)  # a value that Hydra's grammar reads as it stands

_user_dirs: list[Path] = []

logging.getLogger("hydra").addHandler(logging.NullHandler())  # Hydra also raises what it logs


class _UserDirs(SearchPathPlugin):
    """Lets Hydra find the user's YAML files, ahead of ours of the same name."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in reversed(_user_dirs):
            search_path.prepend(provider="user", path=f"file://{folder}")


def use_config_dirs(folders: Sequence[Path]) -> None:
    """Search these folders for YAML files first, from now on."""
    Plugins.instance().register(_UserDirs)
    _user_dirs[:] = folders


def config_dirs() -> list[Path]:
    """Return all folders with YAML files, the user's first."""
    return [*_user_dirs, CONF]


def options(group: str) -> list[str]:
    """Return the names of the YAML files in a group such as `optimizer`, sorted."""
    found = {p.stem for folder in config_dirs() for p in (folder / group).glob("*.yaml")}
    return sorted(found)


def prepare(arguments: Sequence[str], name: str = "config", swept: bool = False) -> list[str]:
    """Rewrite arguments as overrides for Hydra.

    `objective.space.<parameter>.<key>=`, and a mapping such as `objective.where={x: 1}` or
    `optimizer.options={a: 1}`, may set keys that the YAML file does not list. A whole description
    of a parameter replaces the one in the YAML file. `objective.<part>=`, or
    `objective.<place>.<part>=`, chooses among the files of `conf/objective/<part>/` if that folder
    exists. A value that Hydra's grammar cannot read is
    taken as text. After this call, YAML files are read by the same rules as the arguments.

    Args:
        arguments: each `key=value`.
        name: the YAML file below conf/ that they override.
        swept: whether an argument may give several values.

    Raises:
        ValueError: an argument is not `key=value`, or its key does not exist.
    """
    read_words_as_typed()
    roots = [*root_keys(name), *_own_keys(arguments), "hydra"]
    for argument, following in with_following(arguments):
        _check(argument, following, roots, swept)
    return replacing([_word(argument) for argument in arguments])


def composed(name: str, arguments: Sequence[str]) -> DictConfig:
    """Return the settings of `conf/<name>.yaml` under these arguments.

    Raises:
        ValueError, HydraException, OmegaConfBaseException: the arguments or a YAML are wrong.
    """
    words = prepare(arguments, name)
    GlobalHydra.instance().clear()
    with readable(), initialize_config_dir(str(CONF), version_base=None):
        return compose(name, words)


@contextmanager
def readable() -> Iterator[None]:
    """Report any error that occurs while settings are composed as a mistake of the user's."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise ValueError(
            f"settings: expected arguments and YAML files that can be read, got: {reason}"
        ) from None


def root_keys(name: str) -> list[str]:
    """Return the keys of a YAML file below conf/, including the groups of its defaults."""
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    own = re.findall(r"^(\w+):", text, flags=re.MULTILINE)
    return [*chosen(name), *(key for key in own if key not in ("defaults", "hydra"))]


def _own_keys(arguments: Sequence[str]) -> list[str]:
    """Return the keys that the chosen YAML files set beside the families, such as `task`."""
    found: list[str] = []
    for argument in arguments:
        family, _, choice = argument.partition("=")
        if family not in FAMILIES or choice not in options(family):
            continue
        files = [folder / family / f"{choice}.yaml" for folder in config_dirs()]
        file = next(file for file in files if file.is_file())
        text = file.read_text(encoding="utf-8", errors="replace")
        if text.startswith(_GLOBAL):
            found += re.findall(r"^(\w+):", text, flags=re.MULTILINE)
    return [key for key in found if key not in ("defaults", *FAMILIES)]


def chosen(name: str) -> dict[str, str]:
    """Return the default choice of each group in a YAML file below conf/."""
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    return dict(re.findall(r"^  - (\w+): (\w+)", text, flags=re.MULTILINE))


def yaml_rows(name: str) -> list[tuple[str, str]]:
    """Return every key of conf/<name>.yaml with its default and the comment beside it."""
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    rows = [
        (f"{key}=", f"One of {', '.join(options(key))}. Default: {default}.")
        for key, default in chosen(name).items()
    ]
    own = re.findall(r"^(\w+): +(\S.*?)(?: +# (.*))?$", text, flags=re.MULTILINE)
    return rows + [(f"{key}=", f"{_sentence(what)}Default: {value}.") for key, value, what in own]


def _sentence(comment: str) -> str:
    return f"{comment[0].upper()}{comment[1:].rstrip('.')}. " if comment else ""


@dataclass(frozen=True)
class ComposedCommand:
    """A command whose settings are in conf/<name>.yaml.

    Attributes:
        name: the name of the command and of its YAML file.
        summary: what the command does.
        examples: pairs of a command line and what it does.
        notes: paragraphs printed below the arguments.
    """

    name: str
    summary: str
    examples: Sequence[tuple[str, str]]
    notes: str = ""

    def answer(self, arguments: Sequence[str], body: Callable[[DictConfig], int]) -> int:
        """Print the help, or run the body with the composed settings; return the exit status."""
        if wants_help(arguments):
            print(self.help())
            return 0

        def command() -> int:
            words, folders = take_config_dirs(arguments)
            use_config_dirs(folders)
            return body(composed(self.name, words))

        return answered(command, arguments, self.name)

    def help(self) -> str:
        """Return the help of the command."""
        width = max(len(line) for line, _ in self.examples)
        lines = [f"tuneoff {self.name} [key=value ...]", "", self.summary, "", "Examples:"]
        lines += [f"  {line.ljust(width)}  # {what}" for line, what in self.examples]
        rows = [*yaml_rows(self.name), (f"{CONFIG_DIR}=FOLDER", CONFIG_DIR_MEANING)]
        lines += ["", "Arguments:", *table([*rows, ("--help", "Print this text.")])]
        return "\n".join([*lines, *(["", self.notes] if self.notes else [])])


def values(where: str, override: str) -> Iterator[str]:
    """Yield one override for each value that an override gives.

    Raises:
        ValueError: it is not `key=value`.
    """
    parsed = _parsed(override)
    if "=" not in override and not override.startswith("~"):
        raise ValueError(f"{where}: expected key=value, got {override}")
    if parsed is None or not parsed.is_sweep_override():
        yield override
        return
    try:
        for value in parsed.sweep_string_iterator():
            yield f"{parsed.get_key_element()}={value}"
    except (ValueError, TypeError, HydraException):
        raise ValueError(f"{where}: expected values that can be listed, got {override}") from None


def _check(argument: str, following: str, roots: Sequence[str], swept: bool) -> None:
    """Raise `ValueError` if an argument is not a valid setting."""
    if experiment := re.match(r"\+{0,2}experiment(?:@\w+)?=(.*)", argument, re.S):
        raise ValueError(
            f"experiment: expected the settings of one run, got {argument}; "
            f"run an experiment with: tuneoff sweep experiment={experiment[1]}"
        )
    root = re.match(r"[+~]*(\w*)", argument)
    key, equals, value = argument.partition("=")
    deleted = argument.startswith("~") and key.lstrip("~") in roots
    if root is None or root[1] not in roots or not (equals or argument.startswith("~")):
        shown = [key for key in roots if key != "hydra"]
        raise ValueError(unknown(argument, shown, True, following))
    if key.lstrip("+~") == "hydra":
        raise ValueError(f"hydra: expected hydra.<key>=, got {argument}")
    if deleted or (equals and not value and (CONF / key).is_dir()):
        raise ValueError(f"{root[1]}: expected a value, got {argument}")
    group = re.fullmatch(r"\+{0,2}(\w+(?:/\w+)*)", key)
    if group and not swept and ("/" in group[1] or (CONF / group[1]).is_dir()):
        known = options(group[1])
        if value not in known:
            listed = ", ".join(known) or "the groups of conf/"
            meant = did_you_mean(value, known)
            raise ValueError(f"{group[1]}: expected one of {listed}, got {value}{meant}")
    _check_dots(key.lstrip("+~"), value)


def _check_dots(key: str, value: str) -> None:
    """Raise `ValueError` if a setting names a parameter whose own name contains dots."""
    space = _SPACE.match(key)
    parts = key[space.end() :].split(".") if space else []
    deep = len(parts) > 2 or (len(parts) == 2 and value.startswith("{"))
    if '"' in key or "'" in key or (deep and parts[1] != "when"):
        raise ValueError(
            f"{key}: expected objective.space.<parameter>.<key>, got more levels; a parameter "
            f"whose name contains dots can be set only in a YAML file"
        )


def _word(argument: str) -> str:
    """Return an argument in the form that Hydra reads."""
    key, equals, value = argument.partition("=")
    if equals and not _PLAIN.fullmatch(value) and _parsed(argument) is None:
        value = QuotedString(value, Quote.double).with_quotes()
    argument = f"{key}{equals}{value}"
    if _SPACE.match(argument):
        return f"++{argument}"
    part = re.match(r"objective((?:\.\w+)*)\.(\w+)=(.*)", argument)
    if part and any((folder / "objective" / part[2]).is_dir() for folder in config_dirs()):
        return f"objective/{part[2]}@objective{part[1]}={part[3]}"
    # Without ++, Hydra refuses keys that the YAML file does not list; the plug-in checks them.
    free = _MAPPING.match(argument) or argument.startswith(_ALLOWED)
    return f"++{argument}" if free else argument


def _parsed(argument: str) -> Override | None:
    """Return the override that Hydra parses, or None if it cannot parse the argument."""
    try:
        return OverridesParser.create().parse_overrides([argument])[0]
    except (HydraException, RecursionError):
        return None
