"""Export runs in COCO's format for `cocopp`: one folder per optimizer, one file per function.

Format `bbob-new` of Hansen et al., COCO: a platform for comparing continuous optimizers in a
black-box setting, Optimization Methods and Software 36, 2021, as the experiments' loggers of
COCO 2.6 write it. `.info` is the index; `.dat` has a line for each improvement; `.tdat` one at
evaluations 1, 2, 3, ... in powers of 10^(1/20), and the last. A line holds

    f evaluations | g evaluations (0) | best value - optimum | value | best value | x1 | x2 ...

Departures:
- `.dat` holds every improvement; COCO itself writes one line for each of its targets.
- An evaluation that failed or violates a limit is counted but improves nothing. Before the first
  success the difference is `NO_SUCCESS`, because the post-processing takes its logarithm.
- Repetitions of an instance are separate trials, as in COCO's data of 2009.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.exchange.problems import Problems, check_comparable, file_names
from experiments.analysis.results import Run
from objectives.expected import is_number

NO_SUCCESS = 1e100
PRECISION = 1e-8  # the last target of the suite

_HEADER = (
    "% f evaluations | g evaluations | best noise-free fitness - Fopt ({fopt!r}) + sum g_i+ | "
    "measured fitness | best measured fitness | x1 | x2...\n"
)

Numbered = tuple[int, Run]
"""The number of an instance, and a run on it."""


def write(runs: Sequence[Run], out: Path) -> None:
    """Write the folders of all optimizers below `out`.

    Raises:
        ValueError: a run's problem is not one of COCO's, or the run is not comparable there.
    """
    check_comparable(runs, "COCO")
    problems = Problems(runs)
    entries: dict[str, dict[tuple[str, int, int], list[Numbered]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for run in runs:
        problem = problems.of(run)
        if problem.coco is None or problem.optimum is None:
            raise ValueError(
                f"{run.objective}: expected one of COCO's functions without changes "
                f"(objective=bbob), as cocopp knows no others, got "
                f"{run.header.names['objective']}; use format=ioh"
            )
        suite, function, instance = problem.coco
        entries[run.optimizer][suite, function, len(problem.space)].append((instance, run))
    names = file_names(list(entries))
    for optimizer, by_problem in entries.items():
        folder = out / names[optimizer]
        folder.mkdir(parents=True)
        for (suite, function, dim), numbered in sorted(by_problem.items()):
            ordered = sorted(numbered, key=lambda pair: (pair[0], pair[1].seed))
            data = Path(f"data_f{function}") / f"{suite}exp_f{function}_DIM{dim}.dat"
            (folder / data).parent.mkdir(exist_ok=True)
            results = _write_data(folder / data, ordered, problems)
            with (folder / f"{suite}exp_f{function}.info").open("a", encoding="utf-8") as info:
                info.write(
                    f"suite = '{suite}', funcId = {function}, DIM = {dim}, Precision = "
                    f"{PRECISION:.3e}, algId = '{names[optimizer]}', logger = 'tuneoff', "
                    f"data_format = 'bbob-new'\n% {optimizer}, by tuneoff\n"
                    f"{data}, {', '.join(results)}\n"
                )


def _write_data(path: Path, numbered: Sequence[Numbered], problems: Problems) -> list[str]:
    """Write both data files of a problem; return `instance:evaluations|difference` of each run."""
    results = []
    with (
        path.open("w", encoding="utf-8") as improved,
        path.with_suffix(".tdat").open("w", encoding="utf-8") as timed,
    ):
        for instance, run in numbered:
            n = len(run.ids)
            if n == 0:
                continue  # COCO's format cannot represent a run without evaluations
            problem = problems.of(run)
            assert problem.optimum is not None
            best, lines = _lines(run, problem.optimum, list(problem.space))
            better = [0, *(np.flatnonzero(np.diff(best) < 0) + 1)]
            for file, shown in ((improved, better), (timed, _triggers(n))):
                file.write(_HEADER.format(fopt=problem.optimum))
                file.writelines(lines[i] for i in shown)
            results.append(f"{instance}:{n}|{best[-1]:.1e}")
    return results


def _lines(run: Run, optimum: float, names: list[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Return the best difference after each evaluation, (n,), and the lines."""
    values = np.where(run.failed | ~run.kept, np.inf, run.values)
    lowest = np.minimum.accumulate(values)
    # rounding errors may put a value slightly below the optimum
    best = np.where(np.isinf(lowest), NO_SUCCESS, np.maximum(lowest - optimum, 0.0))
    lines = []
    for i, config in enumerate(run.configs):
        point = [config.get(name) for name in names]
        if not all(map(is_number, point)):
            raise ValueError(
                f"{run.objective}, {run.optimizer}, seed {run.seed}: expected a number for each "
                f"of {', '.join(names)}, got {config}"
            )
        x = " ".join(repr(float(each)) for each in point if each is not None)
        numbers = f"{best[i].item()!r} {values[i].item()!r} {lowest[i].item()!r}"
        lines.append(f"{i + 1} 0 {numbers} {x}\n")
    return best, lines


def _triggers(n: int) -> list[int]:
    """Return the indices of the evaluations that `.tdat` holds, out of n."""
    powers = 10 ** (np.arange(20 * np.log10(n) + 1) / 20)
    return sorted({min(int(power), n) - 1 for power in powers} | {n - 1})
