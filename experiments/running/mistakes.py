"""One readable line for a user's mistake: what was expected, what came, what to do."""

import errno
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.running import provenance


def explain(error: BaseException, arguments: list[str], name: str = "config") -> str | None:
    """Return the line for a user's mistake, or None for a fault of ours.

    Args:
        error: what was raised.
        arguments: of the command line.
        name: of the YAML below conf/ that they override.
    """
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    for cause in chain:
        missing = isinstance(cause, ModuleNotFoundError) and _missing(cause.name or "")
        if missing:
            return missing
    root = chain[-1]
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        ours = isinstance(root, (ValueError, OSError)) and not _from_hydra(root)
        return _one_line(root) if ours else _settings_line(str(error), arguments, name)
    return _one_line(error) if isinstance(error, (ValueError, OSError)) else None


def answered(command: Callable[[], int], arguments: list[str], name: str = "config") -> int:
    """Run a command; return its exit status, 2 after one line where the user can mend it.

    Args:
        command: returns an exit status, or raises.
        arguments: of the command line.
        name: of the YAML below conf/ that they override.
    """
    try:
        return command()
    except Exception as error:
        line = explain(error, arguments, name)
        if line is None:
            raise
        print(line, file=sys.stderr)
        return 2


def _from_hydra(error: BaseException) -> bool:
    return isinstance(error, (HydraException, OmegaConfBaseException))


def _missing(module: str) -> str | None:
    extra = provenance.extra_of(module)
    if extra is None:
        return None
    return (
        f"{module}: expected the extra '{extra}' to be installed, got no module of that name; "
        f"run: pip install -c constraints.txt -e '.[{extra}]'"
    )


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        what = error.filename or "the folder of the run"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        then = "; make room and type the same command again, it resumes" if full else ""
        return f"{what}: expected a place to read or write, got: {error.strerror}{then}"
    return " ".join(str(error).split())


def _settings_line(text: str, arguments: list[str], name: str) -> str:
    """Turn Hydra's paragraphs on an override into one line."""
    group = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if group:
        options = re.findall(r"^\t(\S+)$", text, flags=re.MULTILINE)
        return f"{group[1]}: expected one of {', '.join(options)}, got {group[2]}"
    override = re.search(r"Could not override '([^']+)'", text)
    if override and "@" in override[1]:
        part, _, place = override[1].rpartition("/")[2].partition("@")
        meant = re.search(r"Did you mean to override \S+@(\S+)\?", text)
        what = f"; did you mean {meant[1]}.{part}?" if meant else ""
        return f"{place}.{part}: expected a part that this objective has, got none{what}"
    if override:
        return _misspelt(override[1], arguments, name)
    merged = re.search(r"Error merging override '?\+{0,2}([\w.]+)=(.*)'?$", text)
    if merged:
        key, value = merged[1], merged[2].rstrip("'")
        return (
            f"{key}: expected a value of the kind that its YAML holds, a list or keys with values, "
            f"got {value}; to replace it by the other kind: '~{key}' '+{key}={value}'"
        )
    quoted = re.search(r'\+*(objective[\w.]*\.space)\."', text)
    if quoted:
        return (
            f"{quoted[1]}: expected a parameter's name without quotes, got what Hydra cannot read; "
            f"a name that holds a dot can be set in a YAML only, not on the command line"
        )
    parse = re.search(r"Error parsing override '([^']*)'", text)
    if parse:
        return f"{parse[1]}: expected key=value, got what Hydra cannot read"
    return " ".join(text.split())


def _misspelt(key: str, arguments: list[str], config: str) -> str:
    parent, _, name = key.rpartition(".")
    keys = _keys(parent, arguments, config)
    close = get_close_matches(name, keys, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    where = parent or "settings"
    return f"{where}: expected one of {', '.join(keys) or 'its keys'}, got {name}{meant}"


def _keys(parent: str, arguments: list[str], config: str) -> list[str]:
    """List the keys that stand beside a misspelt one, under the same choices of plug-ins."""
    choices = [word for word in arguments if re.fullmatch(r"(optimizer|objective)[^.=]*=\S+", word)]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(provenance.ROOT / "conf"), version_base=None):
        settings = compose(config, choices)
    node = OmegaConf.select(settings, parent) if parent else settings
    return [str(key) for key in node if key != "_target_"] if isinstance(node, DictConfig) else []
