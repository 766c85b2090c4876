"""The entry point of `tuneoff`. It installs the signal handlers before it imports the rest."""

import sys
from collections.abc import Callable, Sequence


def start(
    arguments: Sequence[str] | None = None, main: Callable[[list[str]], int] | None = None
) -> None:
    """Run a command as this process's main program, and exit with its status.

    Args:
        arguments: the command's arguments; None means those of the process.
        main: the command; None means `tuneoff`.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        from experiments.running import interrupts  # may be interrupted, so not at the top

        interrupts.install(interrupts.ENDING, once=given[:1] != ["run"])
        with interrupts.held():
            from experiments import command
        command.put_current_folder_last()
        status = (main or command.main)(given)
        interrupts.check()  # the command may have swallowed one
        interrupts.end_silently(interrupts.ENDING)
    except KeyboardInterrupt as interrupt:
        status = _interrupted(interrupt)
    # After an interrupt inside `exec`, `python -m` would ignore the status and end with SIGINT.
    # CPython clears its record of that interrupt at the next `exec`.
    exec("")
    sys.exit(status)


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    interrupts = sys.modules.get("experiments.running.interrupts")
    if interrupts is not None:
        interrupts.taken()
    print("interrupted", file=sys.stderr)
    return 143 if interrupt.args else 130
