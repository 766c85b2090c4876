"""A command as a process group of its own that ends with its time limit and with its parent.

The parent holds the other end of the child's standard input and writes nothing. However the
parent ends, also by `kill -9`, the system closes that end, and the child, which waits for it in a
thread (`end_with_parent`), kills its group: itself, its ranks and its data loaders.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_MARK = "TUNEOFF_ENDS_WITH_PARENT"  # set in the environment of such a child
_TAIL_LINES = 3  # of what the tool printed: the last says what went wrong
_TAIL_LENGTH = 600  # characters


class Failed(Exception):
    """A command did not end with exit status 0 in time; the text says which and why."""


def run(
    command: Sequence[str],
    *,
    name: str,
    folder: Path,
    output: Path,
    environment: Mapping[str, str],
    timeout_s: float,
) -> None:
    """Run a command to its end; nothing of its process group is left after.

    Args:
        command: the argument list.
        name: for people.
        folder: its working directory.
        output: file for all that it prints.
        environment: of the process, whole.
        timeout_s: after which it is killed.

    Raises:
        Failed: any other exit status than 0, or none in time.
    """
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, _MARK: "1"},
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            reason = f"{name} was ended after {timeout_s:g} s"
            raise Failed(f"{reason}: {_tail(output)}") from None
        finally:
            _kill(process)
    if status != 0:
        raise Failed(f"{name} ended with {_described(status)}: {_tail(output)}")


def end_with_parent() -> None:
    """Kill this process's group as soon as the process that started it by `run` is gone.

    Started otherwise, by hand, it does nothing: standard input is then somebody else's.
    """
    if _MARK in os.environ:
        threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of the group and reap the leader."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def _described(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"


def _tail(output: Path) -> str:
    """Return the last lines of a file as one, and where the rest is."""
    with output.open("rb") as file:
        file.seek(max(output.stat().st_size - 16384, 0))
        text = file.read().decode(errors="replace")
    lines = [" ".join(line.split()) for line in text.replace("\r", "\n").split("\n")]
    last = " | ".join([line for line in lines if line][-_TAIL_LINES:])[-_TAIL_LENGTH:]
    return f"{last or 'it printed nothing'} (all of it: {output})"
