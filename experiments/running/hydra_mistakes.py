"""One line for what Hydra and OmegaConf say in paragraphs."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from omegaconf import DictConfig, OmegaConf

from experiments.running.composing import composed


def line(error: BaseException, arguments: Sequence[str], name: str) -> str:
    """Return the line for an error of Hydra's.

    Args:
        error: what was raised.
        arguments: of the command line.
        name: of the YAML below conf/ that they override.
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
    return f"settings: expected arguments that can be composed, got: {_first(text)}"


def _group(found: "re.Match[str]", text: str) -> str:
    names = ", ".join(re.findall(r"^\t(\S+)$", text, flags=re.MULTILINE))
    return f"{found[1]}: expected one of {names}, got {found[2]}"


def _part(found: "re.Match[str]", text: str) -> str:
    part, _, place = found[1].rpartition("/")[2].partition("@")
    meant = re.search(r"Did you mean to override \S+@(\S+)\?", text)
    what = f"; did you mean {meant[1]}.{part}?" if meant else ""
    return f"{place}.{part}: expected a part that this objective has, got none{what}"


def _no_group(found: "re.Match[str]", text: str) -> str:
    return f"{found[1]}: expected a group that these settings choose from, got {found[1]}"


def _ambiguous(found: "re.Match[str]", text: str) -> str:
    key, _, value = found[1].partition("=")
    return (
        f"{key}: expected one value, got {value}; put quotes inside the argument where it is one "
        f"value, or make a run of each with -m"
    )


def _merge(found: "re.Match[str]", text: str) -> str:
    key, _, value = found[1].lstrip("+").partition("=")
    return (
        f"{key}: expected a value of the kind that its YAML holds, a list or keys with values, "
        f"got {value}; to replace it by the other kind: '~{key}' '+{key}={value}'"
    )


def _parse(found: "re.Match[str]", text: str) -> str:
    key = found[1].partition("=")[0]
    return f"{key}: expected key=value, got {found[1]}, which cannot be read"


def _locate(found: "re.Match[str]", text: str) -> str:
    reason = re.search(r"reason: (.*)", text)
    why = f" ({reason[1]})" if reason else ""
    return (
        f"{_where(text)}._target_: expected a class that can be imported, got {found[1]}{why}; "
        f"install its package, or type the command in the folder where the module lies"
    )


def _call(found: "re.Match[str]", text: str) -> str:
    return f"{_where(text)}: expected settings that {found[1]} takes, got: {_first(found[2])}"


def _interpolation(found: "re.Match[str]", text: str) -> str:
    return f"{_where(text)}: expected ${{...}} that names a setting, got {found[1]}"


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
    """Return the key of the settings that a message is about."""
    found = re.search(r"full_key: *(\S+)", text)
    return found[1] if found else "settings"


def _first(text: str) -> str:
    """Return a message without the lines on where in Hydra it arose."""
    kept = re.split(r"\n *(?:full_key|object_type|reference_type)|, set env var", text)[0]
    return " ".join(kept.split())


def _misspelt(key: str, arguments: Sequence[str], config: str) -> str:
    parent, _, name = key.rpartition(".")
    keys = _keys(parent, arguments, config)
    close = get_close_matches(name, keys, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    where = parent or "settings"
    return f"{where}: expected one of {', '.join(keys) or 'its keys'}, got {name}{meant}"


def _keys(parent: str, arguments: Sequence[str], config: str) -> list[str]:
    """List the keys that stand beside a misspelt one, under the same choices of plug-ins."""
    choices = [word for word in arguments if re.fullmatch(r"(optimizer|objective)=\w+", word)]
    settings = composed(config, choices)
    node = OmegaConf.select(settings, parent) if parent else settings
    return [str(key) for key in node if key != "_target_"] if isinstance(node, DictConfig) else []
