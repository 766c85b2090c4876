"""Processor time of the start: `run.py optimizer=lhs objective=branin`, 50 evaluations, no picture.

    python tests/benchmarks/startup.py [OVERRIDE ...]

Seconds of user and system time, children included; target for the default: 0.7.
A busy machine adds a third (cold caches, waking threads), so the least of the runs is shown too.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

N_REPEATS = 9
ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "run.py", "optimizer=lhs", "objective=branin", "plot=false"]


def seconds(command: list[str]) -> float:
    """Return the processor time of one run of `command`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    times = []
    for _ in range(N_REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            times.append(seconds([*COMMAND, *sys.argv[1:], f"out={folder}/run"]))
    print(f"start: median {statistics.median(times):.3f} s, least {min(times):.3f} s")


if __name__ == "__main__":
    main()
