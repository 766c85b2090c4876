"""Run a command (ssh, srun) that relays to a server elsewhere; keep it alive by regular bytes.

    python tether.py COMMAND...

The process that started us (`objectives/child.py`) holds our standard input open. When it is
closed, we close the command's standard input. The server's guard there (`on_host.py`) then ends the
server, and the command ends by itself or is ended. While it runs, we write one byte every few
seconds. The first line that we write holds the variables of `SECRETS` that are set here. They are
on no command line, because other users of both machines can read command lines.
"""

import json
import os
import select
import subprocess
import sys
import time

BEAT_S = 5.0
END_S = 100.0  # time that the command has to end
SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_POLL_S = 0.1


def main(command: list[str]) -> int:
    """Run the command; return its exit status."""
    carrier = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert carrier.stdin is not None
    due = 0.0
    secrets = {name: os.environ[name] for name in SECRETS if name in os.environ}
    try:
        carrier.stdin.write(json.dumps(secrets).encode() + b"\n")
        carrier.stdin.flush()
        while carrier.poll() is None:
            if select.select([0], [], [], _POLL_S)[0] and not os.read(0, 4096):
                break
            if time.monotonic() >= due:
                carrier.stdin.write(b".")
                carrier.stdin.flush()
                due = time.monotonic() + BEAT_S
        carrier.stdin.close()
    except BrokenPipeError:
        pass  # the carrier has ended; its status says how
    try:
        return carrier.wait(END_S)
    except subprocess.TimeoutExpired:
        carrier.kill()
        return carrier.wait()


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.exit(status if status >= 0 else 128 - status)
