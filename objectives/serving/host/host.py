"""The machine that a server shares with other programs: its properties and its CPU use."""

import os
import platform
import socket
import time
from pathlib import Path
from typing import Any

import psutil

_POLL_S = 0.01
_GONE_S = 10.0  # time that the system has to end killed processes


class CpuWatch:
    """Measures the CPU use of all processes except this one and its descendants.

    Linux counts CPU time in hundredths of a second, over all cores, so a measurement of 1 s is
    accurate to about 0.02 cores. Time that a hypervisor gave to other machines belongs to no
    process and is not counted.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._busy, self._own = _busy_s(), _own_s()
        self._stopped: float | None = None

    def stop(self) -> None:
        """End the measurement; call it before descendants are killed.

        If a process and its parent are killed together, their CPU time can no longer be attributed
        to us and would count as that of other programs.
        """
        if self._stopped is None:
            self._stopped = self.foreign_cores()

    def foreign_cores(self) -> float:
        """Return the mean number of cores that other programs used from the start to the stop."""
        if self._stopped is not None:
            return self._stopped
        elapsed = time.monotonic() - self._started
        foreign = (_busy_s() - self._busy) - (_own_s() - self._own)
        return max(foreign / elapsed, 0.0) if elapsed > 0 else 0.0


def _busy_s() -> float:
    times = psutil.cpu_times()
    more = getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    nice: float = getattr(times, "nice", 0.0)
    return float(times.user + times.system + nice + more)


def _own_s() -> float:
    """Return the CPU seconds of this process and its descendants, ended ones included."""
    this = psutil.Process()
    total = 0.0
    for process in [this, *this.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def peak_memory_bytes(leader: int) -> int:
    """Return the sum of the peak memory of a tree's processes; 0 if all have ended."""
    try:
        tree = [psutil.Process(leader), *psutil.Process(leader).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_peak_bytes(process.pid) for process in tree)


def descendants(leader: int) -> list[psutil.Process]:
    """Return the descendants of a process; an empty result if the process has ended."""
    try:
        return list(psutil.Process(leader).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def end_all(processes: list[psutil.Process]) -> None:
    """Kill processes and wait up to `_GONE_S` until they have ended."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
    until = time.monotonic() + _GONE_S
    while any(map(_runs, processes)) and time.monotonic() < until:
        time.sleep(_POLL_S)


def _runs(process: psutil.Process) -> bool:
    """Return whether a process is running; a zombie is not."""
    try:
        return bool(process.is_running()) and str(process.status()) != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _peak_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return 1024 * found[0] if found else 0


def free_port(host: str) -> int:
    """Return a port on which no program listens."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port


def is_free(host: str, port: int) -> bool:
    """Return whether a server could listen on a port now."""
    with socket.socket() as listener:
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # closed connections may linger on the port
        try:
            listener.bind((host, port))
        except OSError:
            return False
        return True


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def hardware() -> dict[str, Any]:
    """Return the hardware on which measured times depend: processor, cores and memory."""
    cpu = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or the processor has no name
    return {
        "cpu": cpu,
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }
