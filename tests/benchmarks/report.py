"""Time of a report on 1,000 runs of 50 evaluations, and on 2 runs of 10.

python tests/benchmarks/report.py [FOLDER]

It first makes the runs by a sweep (about two minutes; they are kept in FOLDER), then writes the
report three times and prints the medians. Expect less than 10 s for 1,000 runs on two cores.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_EXPERIMENT = """
optimizers: [random, lhs, sobol, soo, cma_es]
objectives:
  - branin objective.shift=${seed}
  - branin objective.shift=none
  - hartmann3 objective.shift=${seed}
  - hartmann6 objective.shift=${seed}
  - ackley objective.shift=${seed}
  - ackley objective.shift=none
  - levy objective.shift=${seed}
  - shekel objective.shift=${seed}
  - mixed
  - failing
seeds: range(1,21)
budget: 50
"""
_SMALL = "optimizers: [random, lhs]\nobjectives: [branin]\nseeds: [0]\nbudget: 10\n"


def main() -> None:
    """Make the runs, time the reports, and print a line for each size."""
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        for name, text in (("small", _SMALL), ("large", _EXPERIMENT)):
            folder = base / name
            file = base / f"{name}.yaml"
            base.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            _python("experiments.sweeping.sweep", f"experiment={file}", f"out={folder}", "runs=2")
            wall, cpu = zip(
                *(_report(folder, Path(temporary) / "out") for _ in range(3)), strict=True
            )
            n = len(list(folder.rglob("log.jsonl")))
            size = (Path(temporary) / "out" / "index.html").stat().st_size / 2**20
            print(
                f"{n} runs: {statistics.median(wall):.1f} s, {statistics.median(cpu):.1f} s of "
                f"CPU; the page has {size:.1f} MiB"
            )


def _report(folder: Path, out: Path) -> tuple[float, float]:
    before, start = _cpu(), time.monotonic()
    _python("experiments.analysis.report", str(folder), f"out={out}")
    return time.monotonic() - start, _cpu() - before


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _python(module: str, *words: str) -> None:
    command = [sys.executable, "-m", module, *words]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=1200)


if __name__ == "__main__":
    main()
