"""Select the device of a process: the CPU, or a GPU that no other process of this user holds.

The workers of a run share a host. Each locks the first GPU whose lock file in the cache folder is
free, for its whole lifetime; the system releases the lock of a killed process. So four workers use
four GPUs. If there are more workers than GPUs, the remaining ones share the GPUs evenly.
"""

import fcntl
import os
from typing import IO

import torch

from objectives import expected
from objectives.cache import cache_folder
from objectives.objective import HostFault

_taken: dict[str, tuple[IO[str], torch.device]] = {}  # by visible devices; chosen once per process


class NoGpu(HostFault):
    """The machine of an evaluation has no GPU, so that no evaluation can be made there."""

    final = True


def kind(wanted: str, gpus: int | None = None) -> str:
    """Return cpu or cuda for the settings `device` and `gpus`.

    Args:
        wanted: auto, cpu or cuda.
        gpus: the number of GPUs of an evaluation; None means that `wanted` decides. With 1, this
            machine need not have a GPU, because another may make the evaluations.

    Raises:
        ValueError: a setting is none of these, the settings contradict each other, or a GPU is
            requested that torch cannot use.
    """
    expected.one_of("objective.device", wanted, ("auto", "cpu", "cuda"))
    if gpus is not None:
        expected.whole("gpus", gpus, 0, 1)
        chosen = "cuda" if gpus else "cpu"
        if wanted not in ("auto", chosen):
            raise ValueError(f"objective.device: expected auto with gpus={gpus}, got {wanted}")
        return chosen
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ValueError("objective.device: expected a GPU that torch can use, got none")
    return "cuda" if available and wanted != "cpu" else "cpu"


def missing(kind: str) -> list[str]:
    """Return why this machine has no device of a kind, in one line; nothing if it has one."""
    if kind == "cpu" or torch.cuda.is_available():
        return []
    return ["gpus: expected a GPU that torch can use, got none; use one of a cluster, or gpus=0"]


def precision(wanted: str, device: str) -> str:
    """Return bf16 or fp32 for a setting: auto, bf16 or fp32.

    auto means bfloat16 if the processor multiplies it natively; otherwise it is slower.

    Raises:
        ValueError: the setting is none of these.
    """
    expected.one_of("objective.precision", wanted, ("auto", "bf16", "fp32"))
    if wanted != "auto":
        return wanted
    native = device == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "fp32"


def take(kind: str) -> torch.device:
    """Return the device of this process.

    Raises:
        NoGpu: there is no GPU.
    """
    if kind == "cpu":
        return torch.device("cpu")
    for fault in missing(kind):
        raise NoGpu(fault)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    key = f"{os.getpid()} {visible}"  # a forked child chooses its own device
    if key not in _taken:
        _taken[key] = _free(torch.cuda.device_count())
    return _taken[key][1]


def _free(n_devices: int) -> tuple[IO[str], torch.device]:
    """Lock the first free device, or share one if none is free."""
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
    """Return an identifier of a GPU that does not depend on its index in this process."""
    return str(torch.cuda.get_device_properties(index).uuid)
