"""Recognise in a server's output faults of the machine, which no configuration causes."""

import re

_PATTERNS: tuple[tuple[str, str], ...] = (
    # Other programs on the GPU, and drivers.
    ("error in memory profiling", "another program released GPU memory during the start"),
    ("the memory capacity is unbalanced", "other programs hold the memory of some GPUs"),
    (r"busy or unavailable", "a GPU is busy or unavailable"),
    (r"no cuda gpus are available|no cuda-capable device", "no GPU is there"),
    (
        r"driver/library version mismatch|driver version is insufficient",
        "the GPU driver is at fault",
    ),
    (r"fallen off the bus|uncorrectable ecc|uncorrectable nvlink", "a GPU has failed"),
    # Access to the model and its download.
    (
        r"gatedrepoerror|cannot access gated repo|access to model \S+ is restricted"
        r"|40[13] client error|invalid user token|invalid credentials",
        "the model is gated: accept its licence, and set HF_TOKEN where this command is typed",
    ),
    (
        r"localentrynotfounderror|couldn't connect to .*to load|max retries exceeded with url"
        r"|offlinemodeisenabled|temporary failure in name resolution|5\d\d server error",
        "the model could not be downloaded",
    ),
    (r"repositorynotfounderror|is not a valid model identifier", "there is no such model"),
    # The machine's disk and its limits.
    (r"no space left on device|disk quota exceeded", "the disk, or /dev/shm, is full"),
    (r"insufficient shared memory|bus error", "shared memory (/dev/shm) is too small"),
    (r"too many open files", "the limit of open files is too low"),
    (r"stale file handle|input/output error", "a file system is at fault"),
)
_FREE = re.compile(
    r"free memory on device.*?\(([\d.]+)/([\d.]+) gib\).*?is less than desired", re.DOTALL
)
_OTHERS = re.compile(r"process \d+ has ([\d.]+) (mib|gib) memory in use", re.IGNORECASE)
_OUR_OWN = 0.05  # share of a GPU's memory that the driver and this process hold
_OTHERS_GIB = 1.0  # other processes are at fault if they hold more than this


def find(output: str) -> str | None:
    """Return the fault of the host that a server's output reports, or None."""
    text = output.lower()
    for pattern, said in _PATTERNS:
        if re.search(pattern, text):
            return said
    return _crowded(text)


def _crowded(text: str) -> str | None:
    """Return a description if the GPU memory is short because other programs hold it, else None."""
    free = _FREE.search(text)
    if free is not None:
        used = 1 - float(free[1]) / max(float(free[2]), 1e-9)
        # If no other program uses the GPU, the configuration itself asked for too much memory.
        return None if used < _OUR_OWN else f"other programs hold {used:.0%} of a GPU's memory"
    if "is less than desired" in text:
        return "other programs hold a GPU's memory"
    if "out of memory" in text:
        held = [float(x) / (1 if unit == "gib" else 1024) for x, unit in _OTHERS.findall(text)]
        if sum(held) > _OTHERS_GIB:
            return f"other programs hold {sum(held):.1f} GiB of a GPU's memory"
    return None
