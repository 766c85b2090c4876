"""Report what a machine has for a server.

python3 -c SOURCE PACKAGES PROGRAM VISIBLE prints what `probe` returns, as JSON
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys


def probe(packages: list[str], program: str, visible: str | None) -> dict[str, object]:
    """Return what this machine has.

    The result holds `gpus` (one line for each usable GPU), `visible` (the value of
    CUDA_VISIBLE_DEVICES), `program` (its path), `python` (the Python of the program's environment)
    and `version` (of the package).

    Args:
        packages: names of packages; the version of the first one found in the environment is
            reported.
        program: a path, or a name on the PATH.
        visible: the server's value of CUDA_VISIBLE_DEVICES; None means our own value.
    """
    seen = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
    listed = [line for line in _lines(["nvidia-smi", "-L"]) if line.startswith("GPU ")]
    gpus = [line.split(" (UUID")[0] for line in visible_gpus(listed, seen)]
    path = shutil.which(os.path.expanduser(program))
    return {
        "gpus": gpus,
        "visible": seen,
        "program": path,
        "python": _python(path),
        "version": _version(packages, path),
    }


def visible_gpus(listed: list[str], visible: str | None) -> list[str]:
    """Return the lines of `nvidia-smi -L` for the GPUs that CUDA would see.

    `nvidia-smi` ignores CUDA_VISIBLE_DEVICES, so the rules of CUDA are applied here: an entry that
    names no GPU hides all entries after it, and a GPU that is named twice hides all GPUs.
    """
    if visible is None:
        return listed
    found: list[str] = []
    for word in (word.strip() for word in visible.split(",")):
        if word.isdigit():
            named = listed[int(word) : int(word) + 1]
        elif word.startswith("MIG-"):
            named = [word]
        else:
            named = [line for line in listed if word.startswith("GPU") and f"UUID: {word}" in line]
        if len(named) != 1:
            break
        found += named
    return found if len(set(found)) == len(found) else []


def _python(path: str | None) -> str | None:
    """Return the Python next to a program, or the program itself if it is a Python."""
    if path is None:
        return None
    folder, name = os.path.split(os.path.abspath(path))
    if name.startswith("python"):
        return path
    beside = [os.path.join(folder, name) for name in ("python3", "python")]
    return next((found for found in beside if os.access(found, os.X_OK)), None)


def _version(packages: list[str], path: str | None) -> str | None:
    """Return the version of the first package found in the environment of a program."""
    if path is None:
        return None
    for folder in (os.path.dirname(os.path.abspath(path)), os.path.dirname(os.path.realpath(path))):
        for package in packages:
            name = package.replace("-", "_")
            pattern = os.path.join(folder, "..", "lib", "python3*", "site-packages")
            for found in glob.glob(os.path.join(pattern, f"{name}-*.dist-info")):
                return f"{package} {os.path.basename(found)[len(name) + 1 : -len('.dist-info')]}"
    return None


def _lines(words: list[str]) -> list[str]:
    """Return the output of a command; an empty text if the command fails."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode(errors="replace").splitlines()


if __name__ == "__main__":
    packages, program, visible = sys.argv[1:]
    print(json.dumps(probe(packages.split(","), program, json.loads(visible))))
