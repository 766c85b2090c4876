"""Run a command in its own process group, which ends at a time limit and with its parent.

The parent holds the other end of the child's standard input and writes nothing. However the parent
ends, even by `kill -9`, the system closes that end. The child waits for this in a thread
(`end_with_parent`) and then kills its process group: itself, its ranks and its data loaders. A
program that we cannot change is started through this file (`guarded`), which waits in its place. It
first asks the program to end (SIGTERM) and then kills the group, so that shared memory is released.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_MARK = "TUNEOFF_ENDS_WITH_PARENT"  # set in the environment of such a child
_TAIL_LINES = 3  # last lines of the output in a message; the last one usually names the error
_TAIL_LENGTH = 600  # characters
_POLL_S = 0.01
_GONE_S = 10.0  # maximum time for the system to end killed processes
_ASKED_S = 5.0  # time for a program to end by itself after its parent has ended
_DEAD = (b"Z", b"X", b"x")  # states of a process that no longer runs


class Failed(Exception):
    """A command did not end with exit status 0 in time; the message says which and why."""


def run(
    command: Sequence[str],
    *,
    name: str,
    folder: Path,
    output: Path,
    environment: Mapping[str, str],
    timeout_s: float,
) -> None:
    """Run a command to its end; afterwards no process of its group is left.

    Args:
        command: the argument list.
        name: the command's name in messages.
        folder: its working directory.
        output: the file for everything that it prints.
        environment: the complete environment of the process.
        timeout_s: the time in seconds after which it is killed.

    Raises:
        Failed: the exit status is not 0, or the command did not end in time.
    """
    process = start(command, folder=folder, output=output, environment=environment)
    try:
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        reason = f"{name} was ended after {timeout_s:g} s"
        raise Failed(f"{reason}: {tail(output)} (full output: {output})") from None
    finally:
        end(process)
    if status != 0:
        reason = f"{name} ended with {described(status)}"
        raise Failed(f"{reason}: {tail(output)} (full output: {output})")


def start(
    command: Sequence[str], *, folder: Path, output: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a command as the leader of a process group; the caller must call `end`.

    Args:
        command: the argument list.
        folder: its working directory.
        output: the file for everything that it prints.
        environment: the complete environment of the process.
    """
    with output.open("wb") as file:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, _MARK: "1"},
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(process: "subprocess.Popen[bytes]", grace_s: float = 0.0) -> None:
    """End the group and reap the leader; return when no process of the group runs any more.

    A killed process does not end at once: it holds its ports and its memory until the system has
    removed it, which takes longer on a busy machine.

    Args:
        process: the leader.
        grace_s: seconds between SIGTERM and killing the group; 0 to kill it at once.
    """
    if grace_s > 0:
        _signal(process.pid, signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            pass  # it is killed below
    _signal(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + _GONE_S
    while _runs(process.pid) and time.monotonic() < until:
        time.sleep(_POLL_S)
    assert process.stdin is not None
    process.stdin.close()


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass  # all of it has ended


def _runs(group: int) -> bool:
    """Return whether any process of a group runs; dead ones that are not reaped do not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stats = list(Path("/proc").glob("[0-9]*/stat"))
    return not stats or any(_is_of(path, group) for path in stats)


def _is_of(stat: Path, group: int) -> bool:
    """Return whether a process runs and belongs to a group; `stat` is its file below /proc."""
    try:
        state, _, its_group, *_ = stat.read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in _DEAD


def guarded(command: Sequence[str]) -> list[str]:
    """Return the command line that runs an unmodified program and ends it with our process."""
    return [sys.executable, "-P", str(Path(__file__).resolve()), *command]


def end_with_parent() -> None:
    """Kill this process's group as soon as the process that started it by `run` has ended.

    If the process was started in another way, this does nothing, because standard input then has
    another purpose.
    """
    if _MARK in os.environ:
        threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def described(status: int) -> str:
    """Return a description of how a process ended."""
    return f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"


def tail(output: Path) -> str:
    """Return the last lines of a file, joined to one line."""
    with output.open("rb") as file:
        file.seek(max(output.stat().st_size - 16384, 0))
        text = file.read().decode(errors="replace")
    lines = [" ".join(line.split()) for line in text.replace("\r", "\n").split("\n")]
    last = " | ".join([line for line in lines if line][-_TAIL_LINES:])[-_TAIL_LENGTH:]
    return last or "it printed nothing"


def _main() -> int:
    """Run the given command line in this process group, and exit with its status."""
    # The whole group receives SIGTERM: the program handles it, and this process waits for it.
    signal.signal(signal.SIGTERM, lambda *_: None)
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    if _MARK in os.environ:
        threading.Thread(target=_end_when_alone, args=[program], daemon=True).start()
    status = program.wait()
    if status < 0:
        if -status == signal.SIGTERM:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _end_when_alone(program: "subprocess.Popen[bytes]") -> None:
    """End the group, the program first, as soon as the process that started us has ended."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGTERM)
    until = time.monotonic() + _ASKED_S
    while program.poll() is None and time.monotonic() < until:
        time.sleep(_POLL_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_main())
