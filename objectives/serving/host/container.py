"""A launcher for servers in a container on this machine: docker, podman, apptainer."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from objectives import child, expected
from objectives.serving.engine import Carried, Launch
from objectives.serving.host import container_guard, machine, on_host
from objectives.serving.host.launcher import Launcher
from objectives.serving.host.tether import SECRETS

PROGRAMS = ("docker", "podman", "apptainer", "singularity")
_OPTIONS: Mapping[str, list[str]] = {
    "docker": ["--gpus=all", "--shm-size=16g"],
    "podman": ["--device=nvidia.com/gpu=all", "--shm-size=16g"],
    "apptainer": ["--nv"],
    "singularity": ["--nv"],
}
_PASSED = (*SECRETS, "CUDA_VISIBLE_DEVICES")  # our variables that are passed to a container
_ASK_S = 60.0


class Container(Launcher):
    """A container on this machine, which ends with the evaluation or with our process.

    The container shares the host's network, so that requests reach the server on its port. The
    first word of the program is looked up in the image. With docker and podman, a container is a
    child of the container engine's own processes, so a guard stops it by its name
    (`container_guard.py`). With apptainer, the container is one of our process groups.

    Args:
        program: docker, podman, apptainer, singularity, or a path whose last part is one of them.
        image: the image's name as that program takes it. The image has to be on this machine
            already.
        options: options of the program's `run` (apptainer: `exec`), such as [-v,
            "/models:/models"]. Null means all GPUs and, with docker and podman, 16 GiB of shared
            memory.
        python: the Python in the image, which downloads the model.

    Raises:
        ValueError: the program or the image is not on this machine.
    """

    def __init__(self, *, program: str, image: str, options: list[str] | None, python: str) -> None:
        where = "objective.engine.launcher"
        self._kind = Path(str(program)).name
        expected.one_of(f"{where}.program", self._kind, PROGRAMS)
        found = shutil.which(os.path.expanduser(program))
        if found is None:
            raise ValueError(
                f"{where}.program: expected a program, got {program}, which is not on the PATH"
            )
        if not isinstance(image, str) or not image or image.startswith("-"):
            raise ValueError(f"{where}.image: expected the name of an image, got {image!r}")
        self._program, self._image, self._python = found, image, python
        given = _OPTIONS[self._kind] if options is None else options
        self._options = [_with_home(str(option)) for option in given]
        self.name = f"a {self._kind} container of {image}"

    @property
    def _in_group(self) -> bool:
        """Whether a container's processes are children of ours."""
        return self._kind in ("apptainer", "singularity")

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
        if self._in_group:
            words = [self._program, "exec", *self._options, self._image, *command]
            return Launch(child.guarded(words), dict(environment))
        name = f"tuneoff-{uuid.uuid4().hex}"
        words = [self._program, "run", "--rm", f"--name={name}", "--network=host"]
        for variable in _PASSED:  # the name alone: the engine takes the value from our environment
            if variable in os.environ and variable not in environment:
                words += ["-e", variable]
        words += [word for key, value in environment.items() for word in ("-e", f"{key}={value}")]
        words += [*self._options, f"--entrypoint={command[0]}", self._image, *command[1:]]
        guard = [sys.executable, "-P", str(container_guard.__file__)]
        ours = [self._program, name]
        return Launch(
            [*guard, "run", *ours, *words],
            carried=Carried(
                end=[*guard, "end", *ours],
                memory=[*guard, "memory", *ours],
                started=container_guard.STARTED,
                ended=container_guard.ENDED,
                here=True,
            ),
        )

    def probe(self, packages: Sequence[str], program: str, visible: str | None) -> dict[str, Any]:
        here = machine.probe(list(packages), program, visible)
        version = self._digest()
        return {**here, "program": program, "python": self._python, "version": version}

    def _digest(self) -> str:
        """Return what identifies the image's content."""
        if self._in_group:
            path = Path(self._image).expanduser()
            if not path.exists():
                raise ValueError(
                    f"objective.engine.launcher.image: expected an image on this machine, got "
                    f"{self._image}; run: {self._kind} pull IMAGE.sif {self._image}"
                )
            self._image = str(path.resolve())
            return f"{path.name} of {path.stat().st_size} bytes"
        try:
            done = subprocess.run(
                [self._program, "image", "inspect", "--format", "{{.Id}}", self._image],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_ASK_S,
            )
        except subprocess.TimeoutExpired:
            raise ValueError(
                f"objective.engine.launcher: expected {self._kind} to answer within {_ASK_S:g} s, "
                "got none"
            ) from None
        if done.returncode != 0:
            said = " ".join(done.stderr.split())[-200:]
            raise ValueError(
                f"objective.engine.launcher.image: expected an image on this machine, got "
                f"{self._image}: {said}; run: {self._kind} pull {self._image}"
            )
        return f"{self._image} {done.stdout.strip()[:19]}"


def _with_home(option: str) -> str:
    """Return an option, such as `~/models:/models`, with `~` expanded to the home folder.

    No shell reads the options, so we expand it ourselves.
    """
    name, equals, value = option.partition("=") if option.startswith("--") else ("", "", option)
    return f"{name}{equals}{os.path.expanduser(value)}"
