"""Launchers, which start a server here, on another machine over SSH, or in our SLURM job.

On another machine, `machine.py` first reports what the machine has, and then `on_host.py` runs next
to the server. The source of each is sent as text, together with its arguments, in one base64 word.
No login shell on the way can therefore misinterpret any character.
"""

import base64
import json
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from objectives import child
from objectives.serving.engine import Carried, Launch
from objectives.serving.host import machine, on_host

_ASK_S = 120.0
_PORTS = (20000, 32000)  # range of the ports of servers on other machines
_TETHER = Path(__file__).with_name("tether.py")
_BOOT = (
    "import sys,json,base64;a=json.loads(base64.b64decode(sys.argv[1]));"
    "sys.argv[1:]=a[1:];exec(compile(a[0],'on_host.py','exec'))"
)


class Launcher(ABC):
    """Runs a server's command line on the server's machine.

    Attributes:
        name: the machine's name in messages.
        is_local: whether the server runs among our own processes.
    """

    name: str
    is_local: bool = False

    @abstractmethod
    def carry(
        self,
        arguments: Sequence[str],
        ports: tuple[int, int] | None,
        program: ModuleType = on_host,
    ) -> list[str]:
        """Return the command that runs one of our programs on the machine.

        `ports`, if given, are a local port and the remote port to which it is forwarded.
        """

    def port_there(self, port: int) -> int:
        """Return the port on which a server receives requests to our `port`."""
        return port

    def launch(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        ports: tuple[int, int] | None,
    ) -> Launch:
        """Return the launch of a command on the machine; the command ends with our process.

        Secrets (`tether.SECRETS`) that are set in our environment are passed on, but on no command
        line.

        Args:
            command: the argument list.
            environment: variables that are added to the environment there.
            ports: a local port and the port that `port_there` returned for it; None if the command
                does not serve requests.
        """
        mark = uuid.uuid4().hex
        variables = [f"{key}={value}" for key, value in environment.items()]
        there = ["env", *variables, *command] if variables else list(command)
        carrier = self.carry(["run", mark, *there], ports)
        return Launch(
            [sys.executable, "-P", str(_TETHER), *carrier],
            carried=Carried(
                end=self.carry(["end", mark], None),
                memory=self.carry(["memory", mark], None),
                started=on_host.STARTED,
                ended=on_host.ENDED,
            ),
        )

    def probe(self, packages: Sequence[str], program: str, visible: str | None) -> dict[str, Any]:
        """Return what the machine has, in the form of `machine.probe`.

        Raises:
            ValueError: the machine cannot be reached.
        """
        words = [",".join(packages), program, json.dumps(visible)]
        command = self.carry(words, None, machine)
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ASK_S
            )
        except subprocess.TimeoutExpired:
            raise self._unreached(f"no answer within {_ASK_S:g} s") from None
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        if done.returncode != 0 or not lines:
            said = " ".join(done.stderr.decode(errors="replace").split())[-300:]
            raise self._unreached(said or f"exit status {done.returncode}")
        try:
            found: dict[str, Any] = json.loads(lines[-1])
        except ValueError:
            raise self._unreached(f"another answer, {lines[-1][:100]!r}") from None
        return found

    def _unreached(self, reason: str) -> ValueError:
        return ValueError(
            f"objective.engine.launcher: expected to reach {self.name}, got: {reason}"
        )


class Local(Launcher):
    """This machine; the server runs in a process group of ours."""

    name = "this machine"
    is_local = True

    def carry(
        self,
        arguments: Sequence[str],
        ports: tuple[int, int] | None,
        program: ModuleType = on_host,
    ) -> list[str]:
        return [sys.executable, "-P", str(program.__file__), *arguments]

    def launch(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        ports: tuple[int, int] | None,
    ) -> Launch:
        return Launch(child.guarded(command), dict(environment))

    def probe(self, packages: Sequence[str], program: str, visible: str | None) -> dict[str, Any]:
        return machine.probe(list(packages), program, visible)


class Ssh(Launcher):
    """Another machine, reached by the system's `ssh` with keys, without typing a password.

    The server listens on that machine's loopback interface. Requests go through the SSH connection,
    so the measured times include the network.

    Args:
        host: the host as `ssh` takes it: a name from its configuration, or user@machine.
        program: the ssh client.
        options: further arguments of the client, such as [-p, "2222"].
        python: a Python of version 3.8 or later on that machine.

    Raises:
        ValueError: the program does not exist, or the host's name is not valid.
    """

    def __init__(self, *, host: str, program: str, options: list[str], python: str) -> None:
        if not isinstance(host, str) or not host or host.startswith("-") or " " in host:
            raise ValueError(f"objective.engine.launcher.host: expected a host, got {host!r}")
        self._program = _program("objective.engine.launcher.program", program)
        self.name = host
        self._host, self._options, self._python = host, [str(o) for o in options], python

    def port_there(self, port: int) -> int:
        # The range lies below the ports that systems assign automatically. If the port is taken,
        # the evaluation is invalid and is repeated on another port. The number differs from the
        # local port because both ends may be on one machine.
        return random.SystemRandom().randrange(*_PORTS)

    def carry(
        self,
        arguments: Sequence[str],
        ports: tuple[int, int] | None,
        program: ModuleType = on_host,
    ) -> list[str]:
        tunnel = [] if ports is None else ["-L", f"127.0.0.1:{ports[0]}:127.0.0.1:{ports[1]}"]
        ours = ["BatchMode=yes", "ExitOnForwardFailure=yes", "ServerAliveInterval=15"]
        settings = [word for option in ours for word in ("-o", option)]
        words = shlex.join(["-c", _BOOT, _packed(program, arguments)])
        there = f"{_for_shell(self._python)} {words}"
        return [self._program, "-T", *settings, *self._options, *tunnel, "--", self._host, there]


class Srun(Launcher):
    """A job step on this node, within the SLURM job that we run in.

    Since Slurm 22.05, a step does not inherit the job's --cpus-per-task and would have one core.
    The step is therefore given the value of SLURM_CPUS_PER_TASK, unless the options set another.

    Args:
        program: the srun client.
        options: further arguments of the client, such as [--gres=gpu:8].
        python: a Python of version 3.8 or later on the node.

    Raises:
        ValueError: the program does not exist, or we do not run inside a job.
    """

    def __init__(self, *, program: str, options: list[str], python: str) -> None:
        if "SLURM_JOB_ID" not in os.environ:
            raise ValueError(
                "objective.engine.launcher: expected to run inside a SLURM job for srun, got no "
                "SLURM_JOB_ID; submit this command by sbatch"
            )
        self._program = _program("objective.engine.launcher.program", program)
        self._node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
        self.name = f"the node {self._node}"
        self._options, self._python = [str(o) for o in options], os.path.expanduser(python)

    def carry(
        self,
        arguments: Sequence[str],
        ports: tuple[int, int] | None,
        program: ModuleType = on_host,
    ) -> list[str]:
        step = ["--overlap", "--nodes=1", "--ntasks=1", f"--nodelist={self._node}"]
        given = os.environ.get("SLURM_CPUS_PER_TASK")
        if given and not any(o.startswith(("--cpus-per-task", "-c")) for o in self._options):
            step.append(f"--cpus-per-task={given}")
        there = [self._python, "-c", _BOOT, _packed(program, arguments)]
        return [self._program, *step, "--unbuffered", *self._options, *there]


def _for_shell(path: str) -> str:
    """Return a quoted path; a leading `~/` stays unquoted for the remote shell."""
    home, rest = ("~/", path[2:]) if path.startswith("~/") else ("", path)
    return home + shlex.quote(rest)


def _program(where: str, name: str) -> str:
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(f"{where}: expected a program, got {name!r}")
    found = shutil.which(os.path.expanduser(name))
    if found is None:
        raise ValueError(f"{where}: expected a program, got {name}, which is not on the PATH")
    return found


def _packed(program: ModuleType, arguments: Sequence[str]) -> str:
    source = Path(str(program.__file__)).read_text(encoding="utf-8")
    return base64.b64encode(json.dumps([source, *arguments]).encode()).decode()
