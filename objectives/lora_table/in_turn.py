"""Produce the tables one after the other; `launch.py` starts two such processes.

    python -m objectives.lora_table.in_turn results=FOLDER number=0

A producer ends without an error when no training of its plan is left for it. The next table then
begins, even if another process is still doing the last training of the one before. A producer that
fails or is terminated ends this process too. Each producer appends to `produce-NUMBER.log` in its
table's folder.
"""

import os
import subprocess
import sys
from pathlib import Path

from objectives.lora_table.launch import PRODUCE, worktree
from objectives.lora_table.progress import is_complete
from objectives.lora_table.tasks import ALPACA, TASKS, Task


def command(task: Task, folder: Path) -> list[str]:
    """Return the command that produces a table; the first table's code knows only one task."""
    named = [] if task == ALPACA else [f"task={task.name}"]
    return [sys.executable, "-m", PRODUCE, *named, f"out={folder}"]


def main(arguments: list[str]) -> None:
    settings = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if settings.keys() != {"results", "number"} or len(settings) < len(arguments):
        sys.exit(f"in_turn: expected results=FOLDER number=N, got {' '.join(arguments)}")
    for task in TASKS.values():
        folder = Path(settings["results"]) / task.results
        folder.mkdir(parents=True, exist_ok=True)
        if is_complete(task.plan, folder):
            continue
        with (folder / f"produce-{settings['number']}.log").open("a") as log:
            done = subprocess.run(
                command(task, folder),
                cwd=worktree(task),
                env={**os.environ, "PYTHONPATH": ""},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if done.returncode != 0:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
