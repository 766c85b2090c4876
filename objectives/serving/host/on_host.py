"""What runs beside a server on its own machine; standard library only, as it is sent there as text.

    python3 -c SOURCE run MARK COMMAND...     the server, ended with everything it started
    python3 -c SOURCE end MARK                end what is left of a mark; exit status 0: nothing is
    python3 -c SOURCE memory MARK             the most memory in bytes that its processes have had
    python3 -c SOURCE probe PACKAGES PROGRAM  as JSON: GPUs, whether the program is there, versions

A server lives as long as the other side writes to our standard input: one byte every few seconds
(`tether.py`). When it is closed, or silent for `SILENCE_S` (a connection that was cut is not
closed), all processes of the mark are killed. They are the server's session, whatever descends from
us (orphans are handed to us), and what carries the mark in its environment; a process that sets its
title, as vLLM's do, overwrites that, so no one of the three would do.
"""

import ctypes
import glob
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

VARIABLE = "TUNEOFF_SERVER"
SILENCE_S = 60.0
STARTED = "tuneoff: the server's machine was reached"
ENDED = "tuneoff: the server ended with status"
_POLL_S = 0.1
_KILL_S = 20.0
_PR_SET_CHILD_SUBREAPER = 36
_guards = False  # whether our descendants are a server's


def processes(mark: str) -> list[int]:
    """Return the processes of a mark, this one not among them."""
    table = _table()
    session = _session(mark)
    found = {pid for pid, row in table.items() if row[1] == session or _carries(pid, mark)}
    if _guards:
        found.add(os.getpid())
    while more := {pid for pid, row in table.items() if row[0] in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def _table() -> dict[int, tuple[int, int]]:
    """Return parent and session of every process that is not dead."""
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
    """Kill all processes of a mark; return how many are left after some seconds."""
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


def run(mark: str, command: list[str]) -> int:
    """Run a command until it ends or the other side is gone; return its exit status."""
    global _guards
    print(STARTED, flush=True)
    _guards = True
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    environment = {**os.environ, VARIABLE: mark}
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
        end(mark)
        server.wait()
        _guards = False


def _watch(server: "subprocess.Popen[bytes]") -> int:
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
    """Return the most memory that each process of a mark has had, summed."""
    total = 0
    for pid in processes(mark):
        try:
            with open(f"/proc/{pid}/status") as file:
                peaks = [int(line.split()[1]) for line in file if line.startswith("VmHWM:")]
        except OSError:
            continue
        total += 1024 * sum(peaks)
    return total


def probe(packages: list[str], program: str) -> dict[str, object]:
    """Return what this machine has: `gpus` (a line each), `program` (its path), `version`."""
    gpus: list[str] = []
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60
        )
        lines = listed.stdout.decode(errors="replace").splitlines()
        gpus = [line.split(" (UUID")[0] for line in lines if line.startswith("GPU ")]
    except (OSError, subprocess.TimeoutExpired):
        pass
    path = shutil.which(os.path.expanduser(program))
    return {"gpus": gpus, "program": path, "version": _version(packages, path)}


def _version(packages: list[str], path: "str | None") -> "str | None":
    """Return the version of the first package in the environment whose `bin` holds a program."""
    if path is None:
        return None
    for folder in (os.path.dirname(os.path.abspath(path)), os.path.dirname(os.path.realpath(path))):
        for package in packages:
            name = package.replace("-", "_")
            pattern = os.path.join(folder, "..", "lib", "python3*", "site-packages")
            for found in glob.glob(os.path.join(pattern, f"{name}-*.dist-info")):
                return f"{package} {os.path.basename(found)[len(name) + 1 : -len('.dist-info')]}"
    return None


def main(arguments: list[str]) -> int:
    """Do what the module's docstring says."""
    task, first, *others = arguments
    if task == "run":
        return run(first, others)
    if task == "end":
        return 1 if end(first) else 0
    if task == "memory":
        print(memory_bytes(first))
    else:
        print(json.dumps(probe(first.split(","), *others)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
