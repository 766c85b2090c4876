"""Store Alpaca, HellaSwag and MMLU from the Hugging Face hub as a data folder in the cache.

The data are downloaded from the hub once. They are stored as `hub_data-1` in the cache folder that
`data.py` names, in the form that `data.py` reads, so later runs need neither the network nor
`datasets`. The folder is put in place atomically, so two processes may start at the same time.

`datasets` runs in a separate process for three reasons: offline mode can only be set before it is
imported, it retries an unreachable host for a minute with messages on the terminal, and its import
would add a second to each start. That process runs this file as a script, with the folder to fill
as its argument.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

PROBE_S = 3.0  # the hub answers in a fraction of a second if there is a network
DOWNLOAD_TIMEOUT_S = 900.0  # about 75 MB
REPOSITORIES = {  # file: repository, configuration, split
    "alpaca.jsonl": ("tatsu-lab/alpaca", None, "train"),
    "hellaswag.jsonl": ("Rowan/hellaswag", None, "validation"),
    "mmlu_test.jsonl": ("cais/mmlu", "all", "test"),
}


class Unavailable(Exception):
    """Neither the hub nor its cache has the data; the text gives the reason."""


def folder(cache: Path) -> Path:
    """Return the data folder with the hub's data in `cache`; download it if it is missing.

    Raises:
        Unavailable: the data were not downloaded before and cannot be downloaded now. This is
            detected within a few seconds.
    """
    stored = cache / "hub_data-1"
    if stored.is_dir():
        return stored
    online = _reachable()
    if not online and not _cached():
        raise Unavailable("no answer from the hub and nothing in its cache")
    try:
        stored.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=stored.parent) as temporary:
            fresh = Path(temporary) / "data"
            _fetch(fresh, online)
            if not stored.is_dir():
                fresh.rename(stored)
    except OSError as error:
        if not stored.is_dir():  # otherwise another process was first
            raise Unavailable(f"{stored.parent}: {error.strerror}") from None
    return stored


def _fetch(fresh: Path, online: bool) -> None:
    environment = os.environ | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    if not online:
        environment |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    try:
        done = subprocess.run(
            # -I: the modules next to this file must not shadow those that `datasets` imports.
            [sys.executable, "-I", __file__, str(fresh)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"no end of the download in {DOWNLOAD_TIMEOUT_S:.0f} s") from None
    if done.returncode != 0:
        raise Unavailable((done.stderr.strip().splitlines() or ["an unknown failure"])[-1])


def _reachable() -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    answered = threading.Event()

    def probe() -> None:
        try:
            endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
            urllib.request.urlopen(endpoint, timeout=PROBE_S).close()
        except urllib.error.HTTPError:
            answered.set()  # it spoke
        except (OSError, ValueError, HTTPException):
            return
        answered.set()

    # A thread, because no time-out covers the name service.
    prober = threading.Thread(target=probe, daemon=True)
    prober.start()
    prober.join(PROBE_S)
    return answered.is_set()


def _cached() -> bool:
    home = Path(os.environ.get("HF_HOME") or _place("XDG_CACHE_HOME", "~/.cache") / "huggingface")
    hub = _place("HF_HUB_CACHE", str(home / "hub"))
    prepared = _place("HF_DATASETS_CACHE", str(home / "datasets"))
    return all(
        (hub / f"datasets--{repository.replace('/', '--')}").is_dir()
        or (prepared / repository.replace("/", "___")).is_dir()
        for repository, _, _ in REPOSITORIES.values()
    )


def _place(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or default).expanduser()


def _download(fresh: Path) -> None:
    import datasets

    fresh.mkdir()
    try:
        for name, (repository, configuration, split) in REPOSITORIES.items():
            with open(fresh / name, "w", encoding="utf-8") as file:
                for row in datasets.load_dataset(repository, configuration, split=split):
                    file.write(json.dumps(row) + "\n")
    except BaseException:
        shutil.rmtree(fresh)
        raise


if __name__ == "__main__":
    _download(Path(sys.argv[1]))
