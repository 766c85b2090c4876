"""Compare the suite with CARP-S and Optuna: time per evaluation, sweeps, and kills.

    python tests/benchmarks/peers.py SUITE --python PYTHON --csv results/peers/measured.csv

SUITE is tuneoff, carps, optuna-memory, optuna-journal or optuna-sqlite. PYTHON is the interpreter
of the suite's own environment. All do the same work: random search on Branin (`peer_branin.py`),
one evaluation at a time. Rows are appended to the CSV, one per repetition, with CPU seconds of all
processes and wall seconds. `--show` prints the medians.

- `start`, `evaluation`: runs of 50 and of 300 evaluations, each by a separate command. The
  difference is 250 evaluations, and the rest of the shorter run is its start.
- `sweep`: `--runs` runs of 50 by one command, one after the other; logs on the disk.
- `kill`: `kill -9` after 25 of 50 evaluations of 20 ms, then the same command again. `lost`: the
  number of finished evaluations that were repeated; `twice`: configurations evaluated more than
  once; `made`: the total number of evaluations, which is 50 or 51 if nothing is lost (the
  evaluation in progress at the kill has to be repeated).
"""

import argparse
import csv
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SUITES = ("tuneoff", "carps", "optuna-memory", "optuna-journal", "optuna-sqlite")
N_SHORT, N_LONG = 50, 300
N_BEFORE_KILL, EVALUATION_S = 25, 0.02


def command(suite: str, python: str, folder: Path, runs: int, n: int) -> list[str]:
    """Return the command that makes some runs of n evaluations."""
    if suite == "tuneoff":
        target = "objective._target_=peer_tuneoff.PeerBranin"
        if runs == 1:
            one = ["optimizer=random", "objective=branin", target, f"budget={n}"]
            return [python, "run.py", *one, "plot=false", f"out={folder}"]
        lists = ["optimizers=[random]", f"objectives=['branin {target}']", f"seeds=range(0,{runs})"]
        sweep = [python, "-m", "experiments.sweeping.sweep", "experiment=smoke"]
        return [*sweep, *lists, f"budget={n}", f"out={folder}"]
    if suite == "carps":
        task = ["+optimizer/randomsearch=config", "+task=peer_branin", f"baserundir={folder}"]
        trials = f"task.optimization_resources.n_trials={n}"
        own = [python, "-m", "carps.run", "--config-dir", str(HERE / "peer_carps")]
        if runs == 1:
            return [*own, *task, trials, "seed=0"]
        return [*own, "-m", *task, f"++{trials}", f"seed=range(0,{runs})"]
    ending = {"memory": "memory", "journal": ".journal", "sqlite": ".db"}[suite.split("-")[1]]
    where = "memory" if ending == "memory" else str(folder / f"study{ending}")
    return [python, str(HERE / "peer_optuna.py"), where, str(runs), str(n)]


def environment(**own: str) -> dict[str, str]:
    """Return the environment of a command: one thread, our peers' modules, no colours."""
    paths = os.pathsep.join(map(str, (HERE, HERE / "peer_carps")))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, **own}


def place(suite: str, folder: Path) -> Path:
    """Return the working folder of a command; CARP-S writes Hydra's own log there."""
    return folder if suite == "carps" else ROOT


def timed(words: list[str], where: Path) -> tuple[float, float]:
    """Run a command; return CPU and wall seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        words, cwd=where, env=environment(), capture_output=True, text=True, timeout=3600
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{words}: expected exit status 0, got {done.returncode}: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


Row = dict[str, float | str]


def measure_evaluation(suite: str, python: str) -> list[Row]:
    """Return the start and the time of an evaluation."""
    found = {}
    for n in (N_SHORT, N_LONG):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            found[n] = timed(command(suite, python, folder, 1, n), place(suite, folder))
    each = [(b - a) / (N_LONG - N_SHORT) for a, b in zip(*found.values(), strict=True)]
    start = [a - N_SHORT * e for a, e in zip(found[N_SHORT], each, strict=True)]
    return [
        {"what": "evaluation", "cpu_s": each[0], "wall_s": each[1]},
        {"what": "start", "cpu_s": start[0], "wall_s": start[1]},
    ]


def measure_sweep(suite: str, python: str, runs: int) -> list[Row]:
    """Return the time of a sweep, per evaluation."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = command(suite, python, folder, runs, N_SHORT)
        cpu, wall = timed(words, place(suite, folder))
    n = runs * N_SHORT
    return [{"what": f"sweep of {runs} x {N_SHORT}", "cpu_s": cpu / n, "wall_s": wall / n}]


def measure_kill(suite: str, python: str) -> list[Row]:
    """Kill a run in the middle, start it again, and return the repeated evaluations."""
    with tempfile.TemporaryDirectory() as name:
        evaluated = Path(name) / "evaluated"
        words = command(suite, python, Path(name), 1, N_SHORT)
        own = environment(EVALUATED=str(evaluated), SECONDS=str(EVALUATION_S))
        nothing = subprocess.DEVNULL
        where = place(suite, Path(name))
        process = subprocess.Popen(words, cwd=where, env=own, stdout=nothing, stderr=nothing)
        while process.poll() is None and len(_lines(evaluated)) < N_BEFORE_KILL + 1:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = _lines(evaluated)
        subprocess.run(words, cwd=where, env=own, stdout=nothing, stderr=nothing, check=True)
        every = _lines(evaluated)
    again = sum(count - 1 for count in Counter(every).values())
    return [
        {
            "what": "kill",
            "made": len(every),
            # the last of `before` was in progress
            "lost": max(0, len(every) - N_SHORT - 1),
            "twice": again,
            "before": len(before) - 1,
        }
    ]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def show(path: Path) -> None:
    """Print the medians."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            groups[row["what"], row["suite"]].append(row)
    for (what, suite), rows in sorted(groups.items()):
        cells = []
        for key in ("cpu_s", "wall_s", "before", "made", "lost", "twice"):
            values = [float(row[key]) for row in rows if row[key]]
            if values:
                scale, unit = (1e3, " ms") if key.endswith("_s") else (1, "")
                name = key.removesuffix("_s")
                cells.append(f"{name} {statistics.median(values) * scale:.3g}{unit}")
        print(f"{what:16} {suite:15} {', '.join(cells)}  ({len(rows)} repetitions)")


FIELDS = ("suite", "what", "cpu_s", "wall_s", "before", "made", "lost", "twice", "load")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", nargs="?", choices=SUITES)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--runs", type=int, default=20, help="of the sweep")
    parser.add_argument("--only", choices=("evaluation", "sweep", "kill"))
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    for _ in range(given.repeats if given.suite else 0):
        rows: list[Row] = []
        if given.only in (None, "evaluation"):
            rows += measure_evaluation(given.suite, given.python)
        if given.only in (None, "sweep"):
            rows += measure_sweep(given.suite, given.python, given.runs)
        if given.only in (None, "kill"):
            rows += measure_kill(given.suite, given.python)
        fresh = not given.csv.exists()
        with given.csv.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            if fresh:
                writer.writeheader()
            for row in rows:
                short = {k: f"{v:.3g}" if isinstance(v, float) else v for k, v in row.items()}
                load = f"{os.getloadavg()[0]:.1f}"
                writer.writerow({"suite": given.suite, "load": load, **short})
    if given.show:
        show(given.csv)


if __name__ == "__main__":
    main()
