"""Guard a server on its own machine; this file is sent there as text (standard library only).

    python3 -c SOURCE run MARK COMMAND... run the server; end it with all it started python3 -c
    SOURCE end MARK end what is left of a mark; status 0: nothing is left python3 -c SOURCE memory
    MARK print the peak memory of its processes in bytes

The server lives as long as the other side (`tether.py`) writes to our standard input: first a line
with the secret variables as JSON, then one byte every few seconds. If standard input is closed, or
silent for `SILENCE_S` (a broken connection does not close it), all processes of the mark are asked
to end. After `GRACE_S` they are killed. The processes of a mark are the server's session, all our
descendants (orphans are re-parented to us), and every process with the mark in its environment.
None of the three criteria suffices alone: for example, a process that sets its title, as vLLM's do,
overwrites its environment.
"""

from __future__ import annotations

import ctypes
import glob
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

VARIABLE = "TUNEOFF_SERVER"
SILENCE_S = 60.0
GRACE_S = 5.0
STARTED = "tuneoff: the server's machine was reached"
ENDED = "tuneoff: the server ended with status"
_POLL_S = 0.1
_KILL_S = 20.0
_MEMORY_S = 60.0  # time that a driver has to release a GPU's memory
_SLACK_MIB = 256  # permitted growth of a GPU's memory in use meanwhile
_SHARED = "/dev/shm"
_PR_SET_CHILD_SUBREAPER = 36
_guards = False  # whether our descendants belong to a server


def processes(mark: str) -> list[int]:
    """Return the processes of a mark, without this one."""
    table = _table()
    session = _session(mark)
    found = {pid for pid, row in table.items() if row[1] == session or _carries(pid, mark)}
    if _guards:
        found.add(os.getpid())
    while more := {pid for pid, row in table.items() if row[0] in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def _table() -> dict[int, tuple[int, int]]:
    """Return the parent and the session of every living process."""
    table = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            table[int(path.split("/")[2])] = (int(fields[1]), int(fields[3]))
    return table


def _carries(pid: int, mark: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"{VARIABLE}={mark}".encode() in file.read().split(b"\0")
    except OSError:
        return False


def _note(mark: str) -> str:
    """Return the file that holds the session of a mark's server while it runs."""
    return os.path.join(tempfile.gettempdir(), f"tuneoff-{mark}")


def _session(mark: str) -> int:
    try:
        with open(_note(mark)) as file:
            return int(file.read())
    except (OSError, ValueError):
        return -1


def end(mark: str) -> int:
    """Kill all processes of a mark; return the number that is left after some seconds."""
    until = time.monotonic() + _KILL_S
    while left := processes(mark):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        if time.monotonic() > until:
            return len(left)
        time.sleep(_POLL_S)
    try:
        os.remove(_note(mark))
    except OSError:
        pass
    return 0


def ask(mark: str) -> None:
    """Ask all processes of a mark to end; return when they have, or after `GRACE_S`."""
    for pid in processes(mark):
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError:
            pass
    until = time.monotonic() + GRACE_S
    while processes(mark) and time.monotonic() < until:
        time.sleep(_POLL_S)


class Leftovers:
    """What a server may leave behind: files of shared memory and, for a while, GPU memory.

    An instance is created before the server starts; `clear` is called after the server has ended.
    """

    def __init__(self, with_gpus: bool) -> None:
        self._files = _shared_files()
        self._used_mib = gpu_memory_mib() if with_gpus else []

    def clear(self) -> None:
        """Remove unused shared memory; wait until the GPUs' memory is released."""
        new = _shared_files() - self._files
        for name in new - (_files_in_use() if new else set()):
            try:
                os.remove(os.path.join(_SHARED, name))
            except OSError:
                pass
        until = time.monotonic() + _MEMORY_S
        while self._used_mib and not self._is_back() and time.monotonic() < until:
            time.sleep(5 * _POLL_S)

    def _is_back(self) -> bool:
        now = gpu_memory_mib()
        known = min(len(now), len(self._used_mib))
        return all(now[i] <= self._used_mib[i] + _SLACK_MIB for i in range(known))


def _shared_files() -> set[str]:
    """Return the files of shared memory that this user owns."""
    found = set()
    try:
        with os.scandir(_SHARED) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and entry.stat().st_uid == os.getuid():
                    found.add(entry.name)
    except OSError:
        pass
    return found


def _files_in_use() -> set[str]:
    """Return the files of shared memory that some process has mapped or opened."""
    found = set()
    for maps in glob.glob("/proc/[0-9]*/maps"):
        try:
            with open(maps, "rb") as file:
                lines = [line for line in file if _SHARED.encode() in line]
        except OSError:
            continue
        found |= {os.fsdecode(line.rstrip().rpartition(b"/")[2]) for line in lines}
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if os.path.dirname(target) == _SHARED:
            found.add(os.path.basename(target))
    return found


def gpu_memory_mib() -> list[int]:
    """Return the memory in use of each visible GPU; empty if it cannot be read."""
    words = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen is not None and not seen.startswith("MIG-"):
        words += ["-i", seen] if seen else []
    return [int(line) for line in _lines(words) if line.strip().isdigit()]


def _lines(words: list[str]) -> list[str]:
    """Return what a command prints; nothing where it fails."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode(errors="replace").splitlines() if done.returncode == 0 else []


def _secrets() -> dict[str, str] | None:
    """Read the first line of standard input; None if the other side is gone or silent."""
    line = b""
    until = time.monotonic() + SILENCE_S
    while not line.endswith(b"\n"):
        if not select.select([0], [], [], max(until - time.monotonic(), 0))[0]:
            return None
        byte = os.read(0, 1)
        if not byte:
            return None
        line += byte
    found: dict[str, str] = json.loads(line)
    return found


def run(mark: str, command: list[str]) -> int:
    """Run a command until it ends or the other side is gone; return its exit status."""
    global _guards
    print(STARTED, flush=True)
    secrets = _secrets()
    if secrets is None:
        return 1
    leftovers = Leftovers(with_gpus=True)
    _guards = True
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    environment = {**os.environ, **secrets, VARIABLE: mark}
    try:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )
    except OSError as error:
        print(f"{ENDED} 127: {error}", flush=True)
        return 127
    try:
        with open(_note(mark), "w") as file:
            file.write(str(server.pid))
        return _watch(server)
    finally:
        ask(mark)
        end(mark)
        server.wait()
        _guards = False
        leftovers.clear()


def _watch(server: subprocess.Popen[bytes]) -> int:
    heard = time.monotonic()
    while server.poll() is None:
        if select.select([0], [], [], _POLL_S)[0]:
            if not os.read(0, 4096):
                return 1
            heard = time.monotonic()
        if time.monotonic() - heard > SILENCE_S:
            return 1
    status = server.returncode
    print(f"{ENDED} {status}", flush=True)
    return status if status >= 0 else 128 - status


def memory_bytes(mark: str) -> int:
    """Return the sum of the peak memory of a mark's processes."""
    total = 0
    for pid in processes(mark):
        try:
            with open(f"/proc/{pid}/status") as file:
                peaks = [int(line.split()[1]) for line in file if line.startswith("VmHWM:")]
        except OSError:
            continue
        total += 1024 * sum(peaks)
    return total


def main(arguments: list[str]) -> int:
    """Do what the module's docstring says."""
    task, first, *others = arguments
    if task == "run":
        return run(first, others)
    if task == "end":
        return 1 if end(first) else 0
    print(memory_bytes(first))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
