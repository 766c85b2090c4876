"""What a machine has for a server; standard library only, as it is sent there as text.

python3 -c SOURCE PACKAGES PROGRAM VISIBLE    prints what `probe` returns, as JSON
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

    `gpus` (a line each of those that may be used), `visible` (what CUDA_VISIBLE_DEVICES says),
    `program` (its path), `python` (of the environment that the program is in), `version`.

    Args:
        packages: of the environment, whose version counts.
        program: a path, or a name on the PATH.
        visible: what the server will have as CUDA_VISIBLE_DEVICES; None: what we have.
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
    """Return the lines of `nvidia-smi -L`, which ignores that variable, that CUDA would see.

    The rules are CUDA's: an entry that names no GPU hides all entries after it, and a GPU that is
    named twice hides all of them.
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
    """Return the Python beside a program, or that a program is."""
    if path is None:
        return None
    folder, name = os.path.split(os.path.abspath(path))
    if name.startswith("python"):
        return path
    beside = [os.path.join(folder, name) for name in ("python3", "python")]
    return next((found for found in beside if os.access(found, os.X_OK)), None)


def _version(packages: list[str], path: str | None) -> str | None:
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


def _lines(words: list[str]) -> list[str]:
    """Return what a command prints; nothing where it fails."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode(errors="replace").splitlines()


if __name__ == "__main__":
    packages, program, visible = sys.argv[1:]
    print(json.dumps(probe(packages.split(","), program, json.loads(visible))))
