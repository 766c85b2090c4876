"""Export runs in IOHprofiler's format, for IOHanalyzer and `iohinspector`.

A folder per optimizer, in it `IOHprofiler_f<k>_<objective>.json` and `data_f<k>_.../*.dat`, as
`ioh.logger.Analyzer` of ioh 0.3 writes them (de Nobel et al., IOHexperimenter, Evolutionary
Computation 32, 2024). Every evaluation is a line:

    evaluations raw_y failed cost_s x.<parameter> ...

- COCO's functions keep their numbers; others are numbered from 101, in the order of their labels.
- The instance is COCO's for its functions, and otherwise the seed.
- Coordinates are in natural units. An ordinal or categorical parameter has the index of its choice,
  from 0. An inactive parameter is nan.
- A failed evaluation is counted; its `raw_y` is `FAILED`, the largest float, even if it has a
  graded penalty. The same holds for one that violates a limit, whose `failed` is 0.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace, Constant

from experiments.analysis.exchange.problems import Problems, check_comparable, file_names
from experiments.analysis.results import Run
from objectives.trial import Config

FAILED = sys.float_info.max

_FIRST = 101  # beyond COCO's functions
_INSTANCES = 2**16  # iohinspector stores instance numbers in 16 bits

Function = tuple[str, int, str]
"""Suite, number and name."""


def write(runs: Sequence[Run], out: Path) -> None:
    """Write the folders of all optimizers below `out`.

    Raises:
        ValueError: the runs are not comparable by evaluations, or a seed is too large.
    """
    check_comparable(runs, "IOHprofiler")
    problems = Problems(runs)
    functions = _functions(runs, problems)
    optimizers = file_names([run.optimizer for run in runs])
    titles = file_names([title for _, _, title in functions])
    groups: dict[tuple[str, Function], list[Run]] = defaultdict(list)
    for run, function in zip(runs, functions, strict=True):
        groups[run.optimizer, function].append(run)
    for (optimizer, (suite, number, title)), group in groups.items():
        name = f"f{number}_{titles[title]}"
        folder = out / optimizers[optimizer]
        (folder / f"data_{name}").mkdir(parents=True)
        about = {
            "version": "0.3.22",
            "suite": suite,
            "function_id": number,
            "function_name": title,
            "maximization": False,
            "algorithm": {"name": optimizer, "info": "by tuneoff"},
            "attributes": ["evaluations", "raw_y", "failed", "cost_s"],
            "scenarios": _scenarios(folder, name, number, group, problems),
        }
        path = folder / f"IOHprofiler_{name}.json"
        path.write_text(json.dumps(about, indent=1), encoding="utf-8")


def _functions(runs: Sequence[Run], problems: Problems) -> list[Function]:
    """Return the function of each run."""
    others: dict[str, int] = {}
    functions: list[Function] = []
    for run in runs:
        coco = problems.of(run).coco
        if coco is not None:
            suite, number, _ = coco
            functions.append((suite, number, suite))
        else:
            number = others.setdefault(run.objective, _FIRST + len(others))
            functions.append(("tuneoff", number, run.objective))
    return functions


def _scenarios(
    folder: Path, name: str, number: int, group: Sequence[Run], problems: Problems
) -> list[dict[str, Any]]:
    """Write one data file per dimension; return their entries in the index."""
    by_dim: dict[int, list[Run]] = defaultdict(list)
    for run in group:
        if len(run.ids):  # IOHprofiler's format cannot represent a run without evaluations
            by_dim[len(problems.of(run).space)].append(run)
    scenarios = []
    for dim, same in sorted(by_dim.items()):
        path = Path(f"data_{name}") / f"IOHprofiler_f{number}_DIM{dim}.dat"
        entries = []
        with (folder / path).open("w", encoding="utf-8") as file:
            for run in same:
                entries.append(_write_run(file, run, problems))
        scenarios.append({"dimension": dim, "path": str(path), "runs": entries})
    return scenarios


def _write_run(file: Any, run: Run, problems: Problems) -> dict[str, Any]:
    """Write the lines of a run; return its entry in the index."""
    problem = problems.of(run)
    columns = [f"x.{'_'.join(name.split())}" for name in problem.space]
    file.write(f"evaluations raw_y failed cost_s {' '.join(columns)}\n")
    values = np.where(run.failed | ~run.kept, FAILED, run.values)
    points = [coordinates(problem.space, config) for config in run.configs]
    rows = zip(values.tolist(), run.failed, run.costs.tolist(), points, strict=True)
    for i, (value, failed, cost, x) in enumerate(rows, start=1):
        file.write(f"{i} {value!r} {int(failed)} {cost!r} {' '.join(map(repr, x))}\n")
    instance = problem.coco[2] if problem.coco else run.seed
    if instance >= _INSTANCES:
        raise ValueError(
            f"{run.objective}: expected instances and seeds below {_INSTANCES}, the limit of "
            f"iohinspector, got {instance}; use format=parquet"
        )
    best = int(np.argmin(values))
    place = [None if math.isnan(x) else x for x in points[best]]
    found = {"evals": best + 1, "y": values[best].item(), "x": place}
    return {"instance": instance, "evals": len(values), "best": found}


def coordinates(space: ConfigurationSpace, config: Config) -> list[float]:
    """Return a configuration as numbers, in the order of the space."""
    return [_number(space[name], config[name]) if name in config else math.nan for name in space]


def _number(parameter: Any, value: Any) -> float:
    choices = list(getattr(parameter, "choices", ()) or getattr(parameter, "sequence", ()))
    if choices:
        return float(choices.index(value))
    if isinstance(parameter, Constant) and not isinstance(value, (int, float)):
        return 0.0
    return float(value)
