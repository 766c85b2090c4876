"""A server process: started in a folder of its own, waited for, and ended with all it started."""

import os
import resource
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

import psutil

from objectives import child
from objectives.serving.engine import Demand, Engine
from objectives.serving.grades import Failure, Invalid
from objectives.serving.host import free_port, is_free, peak_memory_bytes
from objectives.trial import Config

_PREFIX = "tuneoff-serving-"
_POLL_S = 0.02
_ANSWER_S = 2.0  # that a health check may take
_FREE_S = 5.0  # that the system may take to give the port back
_KILL = -9  # the status of a process that the system ended, as it does where memory is short
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")


class Server:
    """One configuration's server, running inside the `with` block and at no other time.

    Args:
        engine: describes it.
        config: its flags.
        demand: what the load asks at most.
        port: 0: any that is free.
        startup_timeout_s: after which a server that does not serve is ended.
        memory_limit_bytes: of its address space; None: the machine's.

    Entering raises `Failure` where the configuration is to blame, `Invalid` where the host is.
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
    ) -> None:
        self._engine, self._config, self._demand = engine, config, demand
        self._port = port or free_port(engine.host)
        self._timeout_s, self._memory = startup_timeout_s, memory_limit_bytes
        self.url = f"http://{engine.host}:{self._port}"
        self.startup_s = 0.0

    def __enter__(self) -> "Server":
        if not is_free(self._engine.host, self._port):
            raise Invalid(f"port {self._port}: expected nobody to listen there, got a program")
        launch = self._engine.launch(self._config, self._port, self._demand)
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
        """Say how the server ended, None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        return f"the server ended with {child.described(status)}: {self._said()}"

    def memory_bytes(self) -> int:
        """Return the most memory that the server has had."""
        return peak_memory_bytes(self._process.pid)

    def _wait_until_it_serves(self, until: float) -> None:
        while not self._serves():
            if self._process.poll() is not None:
                raise self._why_it_ended()
            if time.monotonic() > until:
                reason = f"did not serve within {self._timeout_s:g} s: {self._said()}"
                raise Failure("timed_out", reason)
            time.sleep(_POLL_S)

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(
                self.url + self._engine.health, timeout=_ANSWER_S
            ) as answer:
                return int(answer.status) == 200 and self._process.poll() is None
        except (urllib.error.URLError, OSError):
            return False

    def _why_it_ended(self) -> Failure | Invalid:
        printed = self._output.read_text(errors="replace")
        status = self._process.poll()
        assert status is not None
        reason = f"ended with {child.described(status)}: {self._said()}"
        if self._engine.is_port_taken(printed):
            return Invalid(f"port {self._port}: expected nobody to listen there; {reason}")
        memory = status == _KILL or self._engine.is_out_of_memory(printed)
        return Failure("out_of_memory" if memory else "refused", reason)

    def _said(self) -> str:
        """Return what the server printed on its end, as one line."""
        printed = self._output.read_text(errors="replace")
        return self._engine.reason(printed) or child.tail(self._output)

    def _end(self) -> None:
        """Kill the process group; return when its port is free again."""
        child.end(self._process)
        self._folder.cleanup()
        until = time.monotonic() + _FREE_S
        while not is_free(self._engine.host, self._port) and time.monotonic() < until:
            time.sleep(_POLL_S)


def _remove_what_the_dead_left() -> None:
    """Remove the folders of processes that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
