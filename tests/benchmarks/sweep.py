"""Time of a sweep of 1,000 cheap runs of 50 evaluations, as typed, logs on the disk.

python tests/benchmarks/sweep.py [--folder FOLDER] [--repeats 3] [--executors auto,ray]

`random`, `lhs` and `sobol` on Branin: 334 seeds each are 1,002 runs, 50,100 evaluations, each
flushed to the disk. It prints the wall time, the CPU time of all processes, and the largest memory
of one process, each with its median. The folder determines which disk is measured. With `ray`, the
runs are spread over a local Ray cluster; target: at most twice the wall time of processes.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = ["optimizers=[random,lhs,sobol]", "objectives=[branin]", "budget=50"]


def sweep(folder: Path, seeds: int, runs: int, executor: str) -> tuple[float, float]:
    """Make the sweep in a new process; return wall and CPU seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "experiments.sweeping.sweep", "experiment=smoke", *SETTINGS]
    subprocess.run(
        [
            *command,
            f"seeds=range(0,{seeds})",
            f"runs={runs}",
            f"executor={executor}",
            f"out={folder}",
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", help="where to write (default: the folder for temporary files)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=334)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--executors", default="auto")
    given = parser.parse_args()
    for executor in given.executors.split(","):
        measure(executor, given)


def measure(executor: str, given: argparse.Namespace) -> None:
    """Repeat the sweep with one executor, and print its times."""
    walls, processor = [], []
    for _ in range(given.repeats):
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            wall, cpu = sweep(Path(name) / "sweep", given.seeds, given.runs, executor)
        walls.append(wall)
        processor.append(cpu)
        print(f"wall {wall:.1f} s, CPU {cpu:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"{executor}: {3 * given.seeds} runs of 50: median wall {statistics.median(walls):.1f} s, "
        f"CPU {statistics.median(processor):.1f} s; largest process {memory:.0f} MiB"
    )


if __name__ == "__main__":
    main()
