"""The entry point of `tuneoff`. It installs the signal handlers before it imports the rest."""

import sys
from collections.abc import Sequence


def start(arguments: Sequence[str] | None = None) -> None:
    """Run the command as this process's main program, and exit with its status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        from experiments.running import interrupts  # may be interrupted, so not at the top

        interrupts.install(interrupts.ENDING, once=given[:1] != ["run"])
        with interrupts.held():
            from experiments import command
        command.put_current_folder_last()
        status = command.main(given)
        interrupts.end_silently(interrupts.ENDING)
    except KeyboardInterrupt as interrupt:
        print("interrupted", file=sys.stderr)
        status = 143 if interrupt.args else 130
    # After an interrupt inside `exec`, `python -m` would ignore the status and end with SIGINT.
    # CPython clears its record of that interrupt at the next `exec`.
    exec("")
    sys.exit(status)
