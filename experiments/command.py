"""The command `tuneoff`. Each subcommand's module is imported only when it is used.

`python -m experiments` is the same command.
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.running import interrupts
from experiments.running.quick_start import quick_start
from experiments.running.terminal import STANDARD_OUTPUT, Printable, printable
from objectives.expected import did_you_mean

COMMANDS = {
    "run": ("experiments.running.run_command", "Run one optimizer on one objective."),
    "sweep": ("experiments.sweeping.sweep", "Make or resume all runs of an experiment."),
    "status": ("experiments.sweeping.status", "Show the progress of an experiment."),
    "watch": ("experiments.watching.watch", "Show runs live in optuna-dashboard."),
    "pack": ("experiments.analysis.pack", "Pack runs into one small file."),
    "best": ("experiments.analysis.best", "Print the best configuration of each run."),
    "confirm": ("experiments.sweeping.confirm", "Evaluate the best configurations again."),
    "verdict": ("experiments.analysis.verdict", "Say which optimizers are distinguishable."),
    "compare": ("experiments.analysis.compare", "Plot several runs of one objective."),
    "report": ("experiments.analysis.report.__main__", "Write a page with figures and tables."),
    "export": ("experiments.analysis.export", "Export runs to the formats of other tools."),
    "replay": ("experiments.replaying.replay", "Replay a recorded sequence of evaluations."),
    "paper": ("experiments.paper.__main__", "Make the tables and figures of the paper."),
    "check": ("experiments.testing.check", "Run the conformance suite on a plug-in."),
}


_QUICK = ("run", "sweep", "status", "confirm", "check")  # these import ConfigSpace at once
_HELP = ("-h", "--help", "help")
_ABOUT = """tuneoff compares optimizers under equal budgets on expensive objectives.

Usage: tuneoff COMMAND [FOLDER...] [key=value ...]

Commands:
{commands}

tuneoff COMMAND --help shows examples, and every argument with its default and meaning.
Settings are written as key=value. A path may begin with ~."""


def main(arguments: Sequence[str]) -> int:
    """Run a subcommand and return its exit status."""
    given = list(arguments)
    shown: Any = None if sys.stdout is None else Printable(sys.stdout)
    try:
        with redirect_stdout(shown):
            status = _run(given)
            if shown is not None:
                shown.flush()
        return status
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt)
    except OSError as error:
        if error.filename != STANDARD_OUTPUT:
            raise
        return _refuse(f"{error.filename}: expected it to be writable, got: {error.strerror}")


def put_current_folder_last() -> None:
    """Put the current folder last on the import path, so that it shadows nothing.

    Otherwise a user's own folder `experiments` would be imported instead of ours.
    """
    ours = str(Path(__file__).parents[1])
    try:
        here = os.getcwd()
    except FileNotFoundError:  # it was removed
        return
    if sys.path and sys.path[0] in ("", here) and here != ours:
        del sys.path[0]
    for folder in (ours, here):
        if folder not in sys.path:
            sys.path.append(folder)


def _run(arguments: list[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name in _HELP and rest[:1] and rest[0] in COMMANDS:
        name, rest = rest[0], ["--help"]
    if name in _HELP:
        print(_ABOUT.format(commands="\n".join(_listed())))
        return 0
    if name == "--version":
        print(f"tuneoff {version('tuneoff')}")
        return 0
    if name not in COMMANDS:
        meant = did_you_mean(name, COMMANDS)
        return _refuse(f"tuneoff: expected one of {', '.join(COMMANDS)}, got {name}{meant}")
    command: Callable[[list[str]], int] = _module(name).main
    return command(rest)


def _module(name: str) -> Any:
    """Import a subcommand's module; signals are held until the import is done."""
    place = COMMANDS[name][0]
    if place in sys.modules:
        return sys.modules[place]
    with interrupts.held(), quick_start() if name in _QUICK else nullcontext():
        return import_module(place)


def _listed() -> list[str]:
    return [f"  {name:9}{summary}" for name, (_, summary) in COMMANDS.items()]


def _refuse(line: str) -> int:
    print(printable(line), file=sys.stderr)
    return 2


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    interrupts.taken()
    print("interrupted", file=sys.stderr)
    return 143 if interrupt.args else 130
