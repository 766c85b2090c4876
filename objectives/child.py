"""A command as a process group of its own that ends with its time limit and with its parent.

The parent holds the other end of the child's standard input and writes nothing. However the
parent ends, also by `kill -9`, the system closes that end, and the child, which waits for it in a
thread (`end_with_parent`), kills its group: itself, its ranks and its data loaders. A program that
is not ours to change is started by this file as a program (`guarded`), which waits in its place. It
asks the program to end (SIGTERM) before it kills the group, so that shared memory is given back.
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
_TAIL_LINES = 3  # of what the tool printed: the last says what went wrong
_TAIL_LENGTH = 600  # characters
_POLL_S = 0.01
_GONE_S = 10.0  # that the system may take to end processes that were killed
_ASKED_S = 5.0  # that a program whose parent is gone has to end by itself
_DEAD = (b"Z", b"X", b"x")  # states of a process that no longer runs


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
    process = start(command, folder=folder, output=output, environment=environment)
    try:
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        reason = f"{name} was ended after {timeout_s:g} s"
        raise Failed(f"{reason}: {tail(output)} (all of it: {output})") from None
    finally:
        end(process)
    if status != 0:
        reason = f"{name} ended with {described(status)}"
        raise Failed(f"{reason}: {tail(output)} (all of it: {output})")


def start(
    command: Sequence[str], *, folder: Path, output: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a command as the leader of a process group; `end` has to be called with it.

    Args:
        command: the argument list.
        folder: its working directory.
        output: file for all that it prints.
        environment: of the process, whole.
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
    """End the group and reap the leader; return when none of the group runs any more.

    A killed process does not end at once: it holds its ports and its memory until the system has
    taken it down, which takes longer on a busy machine.

    Args:
        process: the leader.
        grace_s: that the group has to end by itself after SIGTERM, before it is killed; 0: none.
    """
    if grace_s > 0:
        _signal(process.pid, signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            pass  # it is killed now
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
    """Tell whether a process of a group runs; one that is dead and not reaped does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stats = list(Path("/proc").glob("[0-9]*/stat"))
    return not stats or any(_is_of(path, group) for path in stats)


def _is_of(stat: Path, group: int) -> bool:
    """Tell whether a process runs and is of a group; `stat` is its file below /proc."""
    try:
        state, _, its_group, *_ = stat.read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return False
    return int(its_group) == group and state not in _DEAD


def guarded(command: Sequence[str]) -> list[str]:
    """Return the command line that runs a program as it is and ends it with our process."""
    return [sys.executable, "-P", str(Path(__file__).resolve()), *command]


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


def described(status: int) -> str:
    """Say how a process ended."""
    return f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"


def tail(output: Path) -> str:
    """Return the last lines of a file as one."""
    with output.open("rb") as file:
        file.seek(max(output.stat().st_size - 16384, 0))
        text = file.read().decode(errors="replace")
    lines = [" ".join(line.split()) for line in text.replace("\r", "\n").split("\n")]
    last = " | ".join([line for line in lines if line][-_TAIL_LINES:])[-_TAIL_LENGTH:]
    return last or "it printed nothing"


def _main() -> int:
    """Run the command line that follows, in this group, and end as it ends."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # the program's matter: it gets one itself
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
    """End the group, the program first, as soon as the process that started us is gone."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGTERM)
    until = time.monotonic() + _ASKED_S
    while program.poll() is None and time.monotonic() < until:
        time.sleep(_POLL_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_main())
