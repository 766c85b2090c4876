"""Guard a container of docker or podman, which is in none of our process groups, and end it.

    python container_guard.py run ENGINE NAME COMMAND... run it until it ends or we are ended python
    container_guard.py end ENGINE NAME exit status 0: the container is gone python
    container_guard.py memory ENGINE NAME print the container's peak memory in bytes

The process that started us (`objectives/child.py`) holds our standard input open. When standard
input is closed, however that process ended, the container is stopped (SIGTERM, then SIGKILL after
`STOP_S`) and removed. SIGTERM has the same effect.
"""

import os
import select
import signal
import subprocess
import sys

STARTED = "tuneoff: the container was started"
ENDED = "tuneoff: the container ended with status"
STOP_S = 20
_ASK_S = 90.0
_POLL_S = 0.1
_NOT_STARTED = (125, 126, 127)  # the engine failed, or the image has no such program
_asked_to_end = False


def run(engine: str, name: str, command: list[str]) -> int:
    """Run a container until it ends or our parent is gone; return its exit status."""
    signal.signal(signal.SIGTERM, _note)
    client = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while client.poll() is None and not _asked_to_end:
            if select.select([0], [], [], _POLL_S)[0] and not os.read(0, 4096):
                break
    finally:
        if client.poll() is None:
            _asked([engine, "stop", "-t", str(STOP_S), name])
            end(engine, name)
        if client.poll() is None:
            client.terminate()
        status = client.wait()
    status = status if status >= 0 else 128 - status
    if status not in _NOT_STARTED:
        print(f"{STARTED}\n{ENDED} {status}", flush=True)
    return status


def end(engine: str, name: str) -> int:
    """Remove a container; return 0 if none of that name is left."""
    _asked([engine, "rm", "-f", name])
    left = _asked([engine, "ps", "-a", "-q", "--filter", f"name=^{name}$"])
    return 1 if left is None or left.strip() else 0


def memory_bytes(engine: str, name: str) -> int:
    """Return the sum of the peak memory of a container's processes."""
    first = _asked([engine, "inspect", "--format", "{{.State.Pid}}", name])
    if first is None or not first.strip().isdigit():
        return 0
    parents = {}
    for folder in os.listdir("/proc"):
        if folder.isdigit():
            parents[int(folder)] = _field(int(folder), "PPid:")
    found = {int(first)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return 1024 * sum(_field(pid, "VmHWM:") for pid in found)


def _field(pid: int, name: str) -> int:
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(name)), 0)
    except OSError:
        return 0


def _asked(command: list[str]) -> "str | None":
    """Run a command of the container engine; return its output, or None if it did not answer."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=_ASK_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout


def _note(number: int, frame: object) -> None:
    global _asked_to_end
    _asked_to_end = True


def main(arguments: list[str]) -> int:
    """Run the command that the arguments name, as the module's docstring describes."""
    task, engine, name, *command = arguments
    if task == "run":
        return run(engine, name, command)
    if task == "end":
        return end(engine, name)
    print(memory_bytes(engine, name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
