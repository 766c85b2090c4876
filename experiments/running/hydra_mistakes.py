"""One-line messages for the long errors of Hydra and OmegaConf."""

import re
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from experiments.running.composing import composed
from objectives.expected import did_you_mean


def line(error: BaseException, arguments: Sequence[str], name: str) -> str:
    """Return a one-line message for an error of Hydra or OmegaConf.

    Args:
        error: the exception.
        arguments: the arguments of the command line.
        name: the name of the YAML file below conf/ that the arguments override.
    """
    text = str(error)
    cause = error.__cause__
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    if "target '" in text and isinstance(cause, ImportError):
        text = f"{text}\nreason: {cause}"
    for pattern, reply in _REPLIES:
        found = re.search(pattern, text, re.S)
        if found:
            return reply(found, text)
    override = re.search(r"Could not override '([^']+)'", text)
    if override:
        return _misspelt(override[1], arguments, name)
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return f"{_full(missing[1], arguments, name)}: expected a value, got none"
    return f"settings: expected valid settings, got: {_first(text)}"


def _full(key: str, arguments: Sequence[str], config: str) -> str:
    """Return the whole key of a setting without a value, of which a part is known."""
    missing = OmegaConf.missing_keys(composed(config, arguments))
    return next((whole for whole in sorted(missing) if f".{whole}".endswith(f".{key}")), key)


def _group(found: "re.Match[str]", text: str) -> str:
    names = re.findall(r"^\t(\S+)$", text, flags=re.MULTILINE)
    meant = did_you_mean(found[2], names)
    return f"{found[1]}: expected one of {', '.join(names)}, got {found[2]}{meant}"


def _part(found: "re.Match[str]", text: str) -> str:
    part, _, place = found[1].rpartition("/")[2].partition("@")
    meant = re.search(r"Did you mean to override \S+@(\S+)\?", text)
    what = f"; did you mean {meant[1]}.{part}?" if meant else ""
    return f"{place}.{part}: expected a part that this objective has, got an unknown one{what}"


def _no_group(found: "re.Match[str]", text: str) -> str:
    return f"{found[1]}: expected a config group that the settings use, got {found[1]}"


def _ambiguous(found: "re.Match[str]", text: str) -> str:
    key, _, value = found[1].partition("=")
    return (
        f"{key}: expected one value, got {value}; put quotes inside the argument if it is one "
        f"value, or start one run for each value with -m"
    )


def _merge(found: "re.Match[str]", text: str) -> str:
    key, _, value = found[1].lstrip("+").partition("=")
    return (
        f"{key}: expected a value of the same kind as in its YAML file, a list or a mapping, "
        f"got {value}; to replace the one kind by the other, write '~{key}' '+{key}={value}'"
    )


def _parse(found: "re.Match[str]", text: str) -> str:
    key = found[1].partition("=")[0]
    return f"{key}: expected key=value, got {found[1]}, which cannot be parsed"


def _locate(found: "re.Match[str]", text: str) -> str:
    reason = re.search(r"reason: (.*)", text)
    why = f" ({reason[1]})" if reason else ""
    return (
        f"{_where(text)}._target_: expected a class that can be imported, got {found[1]}{why}; "
        f"install its package, or run the command in the folder that contains the module"
    )


def _call(found: "re.Match[str]", text: str) -> str:
    if unknown := re.search(r"got an unexpected keyword argument '(\w+)'", found[2]):
        name = found[1].rpartition(".")[2]
        return f"{_where(text)}: expected settings that {name} takes, got {unknown[1]}"
    return f"{_where(text)}: expected settings that {found[1]} takes, got: {_first(found[2])}"


def _interpolation(found: "re.Match[str]", text: str) -> str:
    return f"{_where(text)}: expected the name of a setting inside ${{...}}, got {found[1]}"


_REPLIES = (
    (r"Could not find '([^']+)/([^'/]+)'", _group),
    (r"Could not override '([^']+@[^']*)'", _part),
    (r"Could not override '(\w+(?:/\w+)+)'", _no_group),
    (r"Ambiguous value for argument '(.*?)'\n", _ambiguous),
    (r"Error merging override '?(.*?)'?$", _merge),
    (r"Error parsing override '(.*?)'\n", _parse),
    (r"Error (?:locating|loading) target '([^']+)'", _locate),
    (r"Error in call to target '([^']+)':\n(.*)", _call),
    (r"Interpolation key '([^']+)' not found", _interpolation),
)


def _where(text: str) -> str:
    """Return the key of the setting that a message refers to."""
    found = re.search(r"full_key: *(\S+)", text)
    return found[1] if found else "settings"


def _first(text: str) -> str:
    """Return a message without the lines that describe its origin inside Hydra."""
    kept = re.split(r"\n *(?:full_key|object_type|reference_type)|, set env var", text)[0]
    return " ".join(kept.split())


def _misspelt(key: str, arguments: Sequence[str], config: str) -> str:
    parent, _, name = key.rpartition(".")
    every = _keys(parent, arguments, config)
    keys = [key for key in every if not re.fullmatch("_[a-z]+_", key)]
    where = parent or "settings"
    if not every:  # such as the options of a library's method
        return (
            f"{where}: expected + before a key that its YAML file does not list, got {name}; write "
            f"+{key}=VALUE"
        )
    if not keys:
        return f"{where}: expected no settings, as it has none, got {name}"
    return f"{where}: expected one of {', '.join(keys)}, got {name}{did_you_mean(name, keys)}"


def _keys(parent: str, arguments: Sequence[str], config: str) -> list[str]:
    """Return all keys at the level of a misspelt one, with the same plug-ins chosen."""
    choices = [
        word for word in arguments if re.fullmatch(r"(optimizer|objective|executor)=\w+", word)
    ]
    settings = composed(config, choices)
    node = OmegaConf.select(settings, parent) if parent else settings
    return list(map(str, node)) if isinstance(node, DictConfig) else []
