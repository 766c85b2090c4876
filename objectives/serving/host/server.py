"""Start a server process in its own folder, wait for it, and end it with all its children."""

import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from types import TracebackType

import psutil

from objectives import child
from objectives.heartbeat import Heartbeat
from objectives.serving.engine import Demand, Engine
from objectives.serving.grades import Failure, Invalid
from objectives.serving.host.host import (
    CpuWatch,
    descendants,
    end_all,
    free_port,
    is_free,
    peak_memory_bytes,
)
from objectives.serving.host.on_host import Leftovers
from objectives.trial import Config

_WAITING = re.compile(r"channel \d+: open failed: connect failed")
_PREFIX = "tuneoff-serving-"
_POLL_S = 0.02
_ANSWER_S = 2.0  # time limit of a health check
_FREE_S = 5.0  # time that the system has to release the port
_CARRIER_S = 110.0  # time that a server elsewhere and its carrier have to end
_ASK_S = 120.0  # time limit of a command on the server's machine
_KILL = -9  # the status of a process that the system killed, as it does when memory is short
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")


class Server:
    """One configuration's server, running inside the `with` block and at no other time.

    Args:
        engine: the engine that describes the server.
        config: the configuration, which determines the flags.
        demand: the largest demands of the load.
        port: the port; 0 means any free port.
        startup_timeout_s: the time after which a server that does not serve yet is ended.
        memory_limit_bytes: the limit of its address space; None means the machine's limit.
        watch: the measurement of CPU use, stopped before the server is killed; None if there is
            none.

    Entering the block raises `Failure` if the configuration is at fault, and `Invalid` if the host
    is.
    """

    def __init__(
        self,
        engine: Engine,
        config: Config,
        demand: Demand,
        *,
        port: int,
        startup_timeout_s: float,
        memory_limit_bytes: int | None,
        watch: CpuWatch | None = None,
    ) -> None:
        self._watch = watch
        self._engine, self._config, self._demand = engine, config, demand
        self._port = port or free_port(engine.host)
        self._timeout_s, self._memory = startup_timeout_s, memory_limit_bytes
        self.url = f"http://{engine.host}:{self._port}"
        self.startup_s = 0.0

    def __enter__(self) -> "Server":
        if not self._is_free():
            raise Invalid(f"port {self._port}: expected no program to listen on it, got one")
        launch = self._engine.launch(self._config, self._port, self._demand)
        self._carried = launch.carried
        here = launch.carried is None or launch.carried.here
        self._leftovers = Leftovers(self._engine.uses_gpus) if here else None
        environment = {k: v for k, v in os.environ.items() if k not in _THREADS}
        _remove_what_the_dead_left()
        self._folder = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")
        folder = Path(self._folder.name)
        self._output = folder / "server.txt"
        started = time.monotonic()
        self._process = child.start(
            launch.command,
            folder=folder,
            output=self._output,
            environment={**environment, **launch.environment},
        )
        try:
            if self._memory is not None:
                limit = (self._memory, self._memory)
                resource.prlimit(self._process.pid, resource.RLIMIT_AS, limit)
            with Heartbeat("waiting for the server to start"):
                self._wait_until_it_serves(started + self._timeout_s)
        except BaseException:
            self._end()
            raise
        self.startup_s = time.monotonic() - started
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def ended(self) -> str | None:
        """Return a description of how the server ended; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        return f"the server ended with {child.described(status)}: {self._said()}"

    def lost(self) -> str | None:
        """Return how the connection to a server elsewhere was lost, or None if it was not."""
        if self._carried is None or self._process.poll() is None:
            return None
        printed = self._output.read_text(errors="replace")
        if self._carried.started not in printed:
            return f"the server's machine was not reached: {child.tail(self._output)}"
        if self._carried.ended not in printed:
            return f"the connection to the server's machine broke: {child.tail(self._output)}"
        return None

    def fault(self) -> str | None:
        """Return the fault of the host that the server's output reports, or None."""
        return self._engine.host_fault(self._output.read_text(errors="replace"))

    def memory_bytes(self) -> int:
        """Return the server's peak memory."""
        if self._carried is None:
            return peak_memory_bytes(self._process.pid)
        return int(self._ask(self._carried.memory))

    def _wait_until_it_serves(self, until: float) -> None:
        while not self._serves():
            if self._process.poll() is not None:
                lost = self.lost()
                raise self._why_it_ended() if lost is None else Invalid(lost)
            if time.monotonic() > until:
                fault = self.fault()
                if fault is not None:
                    raise Invalid(fault)
                reason = f"did not serve within {self._timeout_s:g} s: {self._said()}"
                raise Failure("timed_out", reason)
            time.sleep(_POLL_S)

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(
                self.url + self._engine.health, timeout=_ANSWER_S
            ) as answer:
                return int(answer.status) == 200 and self._process.poll() is None
        except (OSError, HTTPException):  # a URLError is an OSError
            return False

    def _why_it_ended(self) -> Failure | Invalid:
        printed = self._output.read_text(errors="replace")
        status = self._process.poll()
        assert status is not None
        reason = f"ended with {child.described(status)}: {self._said()}"
        fault = self._engine.host_fault(printed)
        if fault is not None:
            return Invalid(f"{fault}; the server {reason}")
        if self._engine.is_port_taken(printed):
            return Invalid(f"port {self._port}: expected no program to listen on it; {reason}")
        killed = status in (_KILL, 128 - _KILL)  # the second is how `on_host.py` reports it
        memory = killed or self._engine.is_out_of_memory(printed)
        return Failure("out_of_memory" if memory else "refused", reason)

    def _is_free(self) -> bool:
        return self._engine.remote or is_free(self._engine.host, self._port)

    def _said(self) -> str:
        """Return the server's output about its end, as one line."""
        printed = self._output.read_text(errors="replace")
        if self._carried is None:
            return self._engine.reason(printed) or child.tail(self._output)
        # ssh prints a line for each health check that is made before the server serves.
        kept = [line for line in printed.splitlines() if not _WAITING.match(line)]
        return self._engine.reason("\n".join(kept)) or " | ".join(kept[-3:])[-600:]

    def _end(self) -> None:
        """End the process group; return when its port and its other resources are free again."""
        if self._watch is not None:
            self._watch.stop()
        carried = self._carried
        if carried is not None:
            self._await_carrier()
        family = descendants(self._process.pid)
        child.end(self._process, self._engine.grace_s)
        end_all(family)  # includes processes that have left the group
        self._folder.cleanup()
        if carried is not None:
            self._ask(carried.end)
        if self._leftovers is not None:
            self._leftovers.clear()
        until = time.monotonic() + _FREE_S
        while not self._is_free() and time.monotonic() < until:
            time.sleep(_POLL_S)

    def _await_carrier(self) -> None:
        """Close the input that keeps a server elsewhere alive; give the server time to end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_CARRIER_S)
        except subprocess.TimeoutExpired:
            pass  # `Carried.end` ends the remaining processes

    def _ask(self, command: list[str]) -> str:
        """Run a command on the machine of a server elsewhere; return its output."""
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_ASK_S,
            )
        except subprocess.TimeoutExpired:
            raise Invalid(f"the server's machine did not answer within {_ASK_S:g} s") from None
        if done.returncode != 0:
            said = " ".join(done.stderr.split())[-300:]
            raise Invalid(
                f"the server's machine: expected an answer, got exit status {done.returncode}: "
                f"{said}"
            )
        return done.stdout.strip()


def _remove_what_the_dead_left() -> None:
    """Remove the folders of processes that were killed before they could remove them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
