"""Where the process of `tuneoff` begins. It imports next to nothing before signals are handled."""

import signal
import sys
from collections.abc import Sequence

from experiments.running import interrupts


def start(arguments: Sequence[str] | None = None) -> None:
    """Run the command in a process of its own, and end that process."""
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
