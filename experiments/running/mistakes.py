"""One readable line for a user's mistake: what was expected, what came, what to do."""

import errno
import sys
from collections.abc import Callable, Sequence

from experiments.running import provenance
from experiments.running.terminal import STANDARD_OUTPUT, printable

_LONGEST = 1600  # characters of a line that a person reads
_FULL = (errno.ENOSPC, errno.EDQUOT)


def explain(
    error: BaseException, arguments: Sequence[str] = (), name: str = "config"
) -> str | None:
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
    if from_hydra(error):
        if isinstance(root, (ValueError, OSError)) and not from_hydra(root):
            return _one_line(root)
        from experiments.running import hydra_mistakes  # Hydra has been imported

        return hydra_mistakes.line(error, arguments, name)
    return _one_line(error) if isinstance(error, (ValueError, OSError)) else None


def answered(
    command: Callable[[], int], arguments: Sequence[str] = (), name: str = "config"
) -> int:
    """Run a command; return its exit status, 2 after one line where the user can mend it.

    Args:
        command: returns an exit status, or raises.
        arguments: of the command line.
        name: of the YAML below conf/ that they override.
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
    """Print a line about a mistake, on one line whatever it holds."""
    line = printable(" ".join(line.split("\n")))
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    print(line, file=sys.stderr)


def from_hydra(error: BaseException) -> bool:
    """Tell whether Hydra or OmegaConf raised an error of their own."""
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
        what = error.filename or "the folder of the run"
        full = error.errno in _FULL
        then = "; make room and type the same command again, it resumes" if full else ""
        return f"{what}: expected a path that can be read or written, got: {error.strerror}{then}"
    return " ".join(str(error).split())
