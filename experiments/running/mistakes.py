"""One-line messages for a user's mistakes: what was expected, what was given, and what to do."""

import errno
import sys
from collections.abc import Callable, Sequence

from experiments.running import provenance
from experiments.running.terminal import STANDARD_OUTPUT, printable

_LONGEST = 1600  # the largest number of characters of a message
_FULL = (errno.ENOSPC, errno.EDQUOT)


def explain(
    error: BaseException, arguments: Sequence[str] = (), name: str = "config"
) -> str | None:
    """Return the message for a user's mistake, or None for a bug in tuneoff.

    Args:
        error: the exception.
        arguments: the arguments of the command line.
        name: the name of the YAML file below conf/ that the arguments override.
    """
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    for cause in chain:
        missing = isinstance(cause, ModuleNotFoundError) and _missing(cause.name or "")
        if missing:
            return missing
    root = chain[-1]
    if from_hydra(error):
        if isinstance(root, (ValueError, OSError)) and not from_hydra(root):
            return _one_line(root)
        from experiments.running import hydra_mistakes  # Hydra has been imported

        return hydra_mistakes.line(error, arguments, name)
    return _one_line(error) if isinstance(error, (ValueError, OSError)) else None


def answered(
    command: Callable[[], int], arguments: Sequence[str] = (), name: str = "config"
) -> int:
    """Run a command and return its exit status.

    A user's mistake prints one line and gives the status 2.

    Args:
        command: the command, which returns an exit status or raises an exception.
        arguments: the arguments of the command line.
        name: the name of the YAML file below conf/ that the arguments override.
    """
    try:
        return command()
    except Exception as error:
        if isinstance(error, OSError) and error.filename == STANDARD_OUTPUT:
            raise
        line = explain(error, arguments, name)
        if line is None:
            raise
        complain(line)
        return 2


def complain(line: str) -> None:
    """Print an error message on one line, whatever characters it contains."""
    line = printable(" ".join(line.split("\n")))
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    print(line, file=sys.stderr)


def from_hydra(error: BaseException) -> bool:
    """Return whether an error is of a class of Hydra or OmegaConf."""
    modules = [kind.__module__.split(".")[0] for kind in type(error).__mro__]
    return not {"hydra", "omegaconf"}.isdisjoint(modules)


def _missing(module: str) -> str | None:
    extra = provenance.extra_of(module)
    if extra is None:
        return None
    return (
        f"{module}: expected the extra '{extra}' to be installed, got no module of that name; "
        f"run: {provenance.install_command(extra)}"
    )


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        what = error.filename or "a file"
        full = error.errno in _FULL
        if isinstance(error, FileNotFoundError):
            return f"{what}: expected a path that exists, got one that does not"
        then = "; free some space and repeat the command; it resumes a run" if full else ""
        return f"{what}: expected a path that can be read or written, got: {error.strerror}{then}"
    return " ".join(str(error).split())
