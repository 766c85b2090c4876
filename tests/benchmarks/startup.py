"""CPU time of the start, as a multiple of the time to import Hydra.

    python tests/benchmarks/startup.py [OVERRIDE ...]

The start is `run.py optimizer=lhs objective=branin plot=false`, with 50 evaluations. Times are user
and system seconds, including children. Both are measured alternately, so that a busy machine, which
adds a third (cold caches, waking threads), slows both. The targets for the default are at most 3
times `import hydra`, and 4 with the figure (plot=true). Only `experiments/running/quick_start.py`
has the code that makes the start quick.
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
HYDRA = [sys.executable, "-c", "import hydra"]


def seconds(command: list[str]) -> float:
    """Return the CPU time of one run of `command`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    starts, imports = [], []
    for _ in range(N_REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            starts.append(seconds([*COMMAND, *sys.argv[1:], f"out={folder}/run"]))
        imports.append(seconds(HYDRA))
    for label, times in (("start", starts), ("import hydra", imports)):
        print(f"{label}: median {statistics.median(times):.3f} s, least {min(times):.3f} s")
    ratio = statistics.median(starts) / statistics.median(imports)
    print(f"ratio: of medians {ratio:.2f}, of the least {min(starts) / min(imports):.2f}")


if __name__ == "__main__":
    main()
