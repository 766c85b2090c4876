"""What a run's result depends on, for the header of its log, and the identity of a run."""

import hashlib
import json
import os
import platform
import re
import subprocess
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
"""Where our packages lie: the checkout, or the folder that they are installed in."""

CONF = (ROOT / "experiments" / "conf").resolve()
"""Our YAML files: conf/ of a checkout, part of the package where it is installed."""


@cache
def is_checkout() -> bool:
    """Tell whether the code runs from a checkout of the project."""
    try:
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return False
    return bool(re.search(r'^name = "tuneoff"$', text, flags=re.MULTILINE))


@cache
def project() -> dict[str, Any]:
    """Return pyproject.toml's table `project`, or the same from the installed metadata."""
    if is_checkout():
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        table: dict[str, Any] = tomllib.loads(text)["project"]
        return table
    return _installed(metadata.metadata("tuneoff"))


def _installed(found: metadata.PackageMetadata) -> dict[str, Any]:
    """Return what the metadata of an installed distribution say."""
    extras: dict[str, list[str]] = {}
    dependencies: list[str] = []
    for requirement in found.get_all("Requires-Dist") or []:
        name, _, marker = (part.strip() for part in requirement.partition(";"))
        extra = re.search(r"""extra == ["']([^"']+)["']""", marker)
        (extras.setdefault(extra[1], []) if extra else dependencies).append(name)
    return {
        "version": found["Version"],
        "dependencies": dependencies,
        "optional-dependencies": extras,
    }


def extra_of(module: str) -> str | None:
    """Return the project's extra that installs a missing module, or None."""
    distribution = module.split(".")[0].replace("_", "-").lower()
    distribution = {"mlflow": "mlflow-skinny"}.get(distribution, distribution)
    for extra, requirements in project()["optional-dependencies"].items():
        if distribution in [name.replace("_", "-").lower() for name in requirements]:
            return str(extra)
    return None


def install_command(extra: str) -> str:
    """Return the command that installs an extra of the project."""
    if is_checkout():
        return f"pip install -c constraints.txt -e '.[{extra}]'"
    return f"pip install 'tuneoff[{extra}]'"


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that the project names."""
    extras = project()["optional-dependencies"].values()
    named = [*project()["dependencies"], *(name for extra in extras for name in extra)]
    found = {"python": platform.python_version()}
    for name in sorted({re.split(r"[^\w.-]", name)[0] for name in named} - {"tuneoff"}):
        try:
            text = metadata.distribution(name).read_text("METADATA") or ""
        except metadata.PackageNotFoundError:
            continue
        # `metadata.version` would parse the whole README that follows the line: 1 ms a package.
        stated = re.search(r"^Version: *(\S+)", text, flags=re.MULTILINE)
        if stated:
            found[name] = stated[1]
    return found


@cache
def hardware() -> dict[str, Any]:
    """Return processor, cores that this process may use, memory, and operating system."""
    cpu = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a processor without a name
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "system": platform.system(),
    }


@cache
def code() -> dict[str, str]:
    """Return the project's version and, in a git checkout, its commit (`-dirty`: changed since)."""
    found = {"version": str(project()["version"])}
    if not is_checkout():  # it may lie in an environment inside somebody else's repository
        return found
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return found
    return {**found, "commit": done.stdout.strip()}


def digest(content: Any) -> str:
    """Return the SHA-256 of plain JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
