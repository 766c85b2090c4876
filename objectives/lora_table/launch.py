"""Start the producers in the background, or stop them.

    python -m objectives.lora_table.launch [results=results] [processes=2]
    python -m objectives.lora_table.launch stop [results=results]

The tables are made one after the other (`in_turn.py`), each by one version of the code, independent
of the current checkout: the commit in the task's `producer.commit`, which is tagged. This commit is
checked out as a git worktree in the cache folder and run from there, at the lowest priority, with
one thread per process. The processes outlive the shell that started them. If they are started
again, they continue where they stopped.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil

from objectives.cache import cache_folder
from objectives.lora_table.tasks import TASKS, Task

PRODUCE = "objectives.lora_table.produce"
IN_TURN = "objectives.lora_table.in_turn"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def running(results: Path) -> list[psutil.Process]:
    """Return the processes that produce tables below a folder, each with its parent if it has one.

    A process that produces the tables in turn is listed, and so is the producer that it runs.
    """
    outputs = {f"out={results / task.results}" for task in TASKS.values()}
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        produces = PRODUCE in command and not outputs.isdisjoint(command)
        if produces or (IN_TURN in command and f"results={results}" in command):
            found.append(process)
    return found


def n_working(processes: list[psutil.Process]) -> int:
    """Return the number of processes, where a parent and its child count once."""
    pids = {process.pid for process in processes}
    n = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            n += process.ppid() not in pids
    return n


def worktree(task: Task) -> Path:
    """Return the checkout of a task's tagged code; create it if necessary.

    Raises:
        ValueError: this project's git repository does not have the commit.
    """
    commit = (task.place / "producer.commit").read_text().strip()
    place = cache_folder() / task.tag
    if not (place / "objectives").is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        command = ["git", "worktree", "add", "--force", "--detach", str(place), commit]
        made = subprocess.run(command, cwd=task.place, capture_output=True, text=True, timeout=120)
        if made.returncode != 0:
            raise ValueError(
                f"lora_table: expected commit {commit} ({task.tag}) in this checkout's git, got "
                f"{made.stderr.strip().splitlines()[-1]}"
            )
    return place


def start(results: Path, n_processes: int) -> None:
    """Start the missing processes."""
    missing = n_processes - n_working(running(results))
    for task in TASKS.values():
        worktree(task)  # here, because two processes must not create one at the same time
    for number in range(missing):
        command = ["nice", "-n", "19", sys.executable, "-m", IN_TURN]
        process = subprocess.Popen(
            [*command, f"results={results}", f"number={number}"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _yield_to_other_sessions(process.pid)
        print(f"lora_table: process {process.pid} writes to {results}, logs produce-{number}.log")
    if missing <= 0:
        print(f"lora_table: {n_processes} processes already write to {results}")
    print("lora_table: stop with `make lora-table-stop`; the same command continues it")


def _yield_to_other_sessions(pid: int) -> None:
    """Also lower the weight of a process's session, if Linux schedules processes by session.

    In that case, `nice` acts only within the session, and this session would get as much time as
    any other.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("19")


def stop(results: Path) -> None:
    """End the processes; an interrupted training is repeated later."""
    for process in running(results):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
            print(f"lora_table: ended process {process.pid}")


def main(arguments: list[str]) -> None:
    words = [argument for argument in arguments if argument != "stop"]
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    if len(settings) < len(words) or not settings.keys() <= {"results", "processes"}:
        sys.exit(
            f"launch: expected [stop] [results=FOLDER] [processes=N], got {' '.join(arguments)}"
        )
    results = Path(settings.get("results", "results")).expanduser().resolve()
    try:
        if "stop" in arguments:
            stop(results)
        else:
            start(results, int(settings.get("processes", "2")))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
