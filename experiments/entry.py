"""The entry point of `tuneoff`. It installs the signal handlers before it imports the rest."""

import signal
import sys
from collections.abc import Sequence

from experiments.running import interrupts


def start(arguments: Sequence[str] | None = None) -> None:
    """Run the command as this process's main program, and exit with its status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    interrupts.install((signal.SIGINT, signal.SIGTERM), once=given[:1] != ["run"])
    try:
        with interrupts.held():
            from experiments import command
        command.put_current_folder_last()
        status = command.main(given)
    except KeyboardInterrupt as interrupt:
        print("interrupted", file=sys.stderr)
        status = 143 if interrupt.args else 130
    sys.exit(status)
