"""Start the producer in the background, or stop it.

    python -m objectives.lora_table.launch [out=results/lora_table] [processes=2]
    python -m objectives.lora_table.launch stop [out=results/lora_table]

The whole table is made by one version of the code, independent of the current checkout: the commit
in `producer.commit`, tagged `lora-table-v2`. This commit is checked out as a git worktree in the
cache folder and run from there, at the lowest priority, with one thread per process. The processes
outlive the shell that started them. If they are started again, they continue where they stopped.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil

from objectives.cache import cache_folder

TAG = "lora-table-v2"
_MODULE = "objectives.lora_table.produce"
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": ""}


def running(folder: Path) -> list[int]:
    """Return the process ids of the producers that write to a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if _MODULE in command and f"out={folder}" in command:
            found.append(process.pid)
    return found


def worktree() -> Path:
    """Return the checkout of the tagged code; create it if necessary.

    Raises:
        ValueError: this project's git repository does not have the commit.
    """
    here = Path(__file__).parent
    commit = (here / "producer.commit").read_text().strip()
    place = cache_folder() / TAG
    if not (place / "objectives").is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        command = ["git", "worktree", "add", "--force", "--detach", str(place), commit]
        made = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=120)
        if made.returncode != 0:
            raise ValueError(
                f"lora_table: expected commit {commit} ({TAG}) in this checkout's git, got "
                f"{made.stderr.strip().splitlines()[-1]}"
            )
    return place


def start(folder: Path, n_processes: int) -> None:
    """Start the missing producers."""
    missing = n_processes - len(running(folder))
    folder.mkdir(parents=True, exist_ok=True)
    place = worktree()
    for number in range(missing):
        command = ["nice", "-n", "19", sys.executable, "-m", _MODULE, f"out={folder}"]
        with (folder / f"produce-{number}.log").open("a") as log:
            process = subprocess.Popen(
                command,
                cwd=place,
                env={**os.environ, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _yield_to_other_sessions(process.pid)
        print(f"lora_table: process {process.pid} writes to {folder}, log produce-{number}.log")
    if missing <= 0:
        print(f"lora_table: {n_processes} processes already write to {folder}")
    print("lora_table: stop with `make lora-table-stop`; the same command goes on")


def _yield_to_other_sessions(pid: int) -> None:
    """Also lower the weight of a process's session, if Linux schedules processes by session.

    In that case, `nice` acts only within the session, and this session would get as much time as
    any other.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("19")


def stop(folder: Path) -> None:
    """End the producers that write to a folder; an interrupted training is repeated later."""
    for pid in running(folder):
        psutil.Process(pid).terminate()
        print(f"lora_table: ended process {pid}")


def main(arguments: list[str]) -> None:
    words = [argument for argument in arguments if argument != "stop"]
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    if len(settings) < len(words) or not settings.keys() <= {"out", "processes"}:
        sys.exit(f"launch: expected [stop] [out=FOLDER] [processes=N], got {' '.join(arguments)}")
    folder = Path(settings.get("out", "results/lora_table")).expanduser().resolve()
    try:
        if "stop" in arguments:
            stop(folder)
        else:
            start(folder, int(settings.get("processes", "2")))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
