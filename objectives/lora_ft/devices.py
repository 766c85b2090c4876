"""Where a process computes: the CPU, or a GPU that no other process of this user has taken.

Workers of a run share a host. Each takes the first GPU whose lock file in the cache folder is
free, for as long as it lives, and the system releases what a killed process held; so four workers
use four GPUs. Where there are more workers than GPUs, the further ones share them evenly.
"""

import fcntl
import os
from typing import IO

import torch

from objectives.cache import cache_folder

_taken: dict[str, tuple[IO[str], torch.device]] = {}  # by what is visible: once a process


def kind(wanted: str) -> str:
    """Return cpu or cuda for a setting: auto, cpu or cuda.

    Raises:
        ValueError: a GPU is wanted that torch cannot use.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ValueError("objective.device: expected a GPU that torch can use, got none")
    return "cuda" if available and wanted != "cpu" else "cpu"


def take(kind: str) -> torch.device:
    """Return the device of this process."""
    if kind == "cpu":
        return torch.device("cpu")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    key = f"{os.getpid()} {visible}"  # a forked child takes its own
    if key not in _taken:
        _taken[key] = _free(torch.cuda.device_count())
    return _taken[key][1]


def _free(n_devices: int) -> tuple[IO[str], torch.device]:
    """Lock the first device that is free; share one where none is."""
    folder = cache_folder() / "gpus"
    folder.mkdir(parents=True, exist_ok=True)
    for round_number in range(_ROUNDS):
        for index in range(n_devices):
            lock = (folder / f"{_name(index)}.{round_number}").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
            else:
                return lock, torch.device("cuda", index)
    raise RuntimeError(f"device: expected at most {_ROUNDS} processes on a GPU, got more")


_ROUNDS = 32


def _name(index: int) -> str:
    """Return what tells a GPU from others, whatever its index in this process is."""
    return str(torch.cuda.get_device_properties(index).uuid)
