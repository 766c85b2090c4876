"""Compare the families of optimizers: their results and the CPU time of an ask.

    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/benchmarks/families.py --cache families.json

Three sets of problems: BBOB functions in 5-D (one instance each, and one whose optimum lies
anywhere), the mixed space of `objective=mixed`, and Hartmann-6 and BBOB functions hidden among
parameters without effect, in 20, 60 and 100 dimensions. Each optimizer is compared with `random`
and with its library's own loop or default, if there is one. Results and costs of runs are cached,
so that only new runs are computed. The first two sets take about 20 CPU minutes, and `--set wide`
takes an hour.
"""

import argparse
import json
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scipy.stats import rankdata

BUDGET = 50
FEW = [
    "random",
    "ga",
    "optuna optimizer.sampler=NSGAIISampler",
    "de",
    "nevergrad",
    "pso",
    "nevergrad optimizer.name=PSO",
    "annealing",
    "cma_es",
    "catcma",
    "tpe",
    "gp_bo",
    "botorch",
    "turbo",
    "saasbo",
    "rembo",
    "freeze",
    "freeze optimizer@optimizer.inner=gp_bo",
    "auto",
]
WIDE = [
    "random",
    "tpe",
    "freeze optimizer@optimizer.inner=gp_bo",
    "gp_bo",
    "freeze",
    "rembo",
    "turbo",
    "saasbo",
    "catcma",
]
FUNCTIONS = (1, 6, 8, 10, 15, 21)
Table = dict[str, dict[str, Any]]


def problems(which: str, functions: list[int], dimensions: list[int]) -> list[str]:
    """Return the problems of a set, as the words that choose the objective."""
    if which == "mixed":
        return ["mixed"]
    if which == "few":
        return [
            f"bbob objective.function={f} objective.instance={1001 + k} objective.dimension=5 "
            f"objective.shift={shift}"
            for f in functions
            for k, shift in enumerate(("none", "1"))
        ]
    found = [
        f"embedded objective.dimension={d} objective.inner.shift=${{seed}} objective.seed=${{seed}}"
        for d in dimensions
    ]
    return found + [
        f"embedded objective@objective.inner=bbob objective.inner.function={f} "
        f"objective.inner.instance=1001 objective.inner.dimension=5 objective.dimension={d} "
        f"objective.seed=${{seed}}"
        for d in dimensions
        for f in functions
    ]


def run(optimizer: str, problem: str, seed: int) -> dict[str, Any]:
    """Return the best value after each evaluation, above the optimum if it is known, and CPU s."""
    with initialize_config_dir(str(Path("conf").absolute()), version_base=None):
        name, *changes = optimizer.split()
        objective, *settings = problem.split()
        words = [f"optimizer={name}", *changes, f"objective={objective}", *settings]
        composed = compose("config", overrides=[*words, f"budget={BUDGET}", f"seed={seed}"])
    function: Any = instantiate(composed.objective, _convert_="all")
    made: Any = instantiate(composed.optimizer, space=function.space, seed=seed, _convert_="all")
    optimum = function.optimum or 0.0
    best: list[float] = []
    seconds: list[float] = []
    while len(best) < BUDGET:
        start = process_time()
        (trial,) = made.ask(1)
        spent = process_time() - start
        evaluation = function.evaluate(trial)
        start = process_time()
        made.tell(trial, evaluation)
        seconds.append(spent + process_time() - start)
        failed = evaluation.error is not None or evaluation.value is None
        value = np.inf if failed else evaluation.value - optimum
        best.append(float(min([value, *best[-1:]])))
    return {"best": best, "seconds": seconds}


def report(table: Table, optimizers: list[str], names: list[str], seeds: int) -> None:
    """Print mean ranks, mean log10 regrets, and times."""
    finals = np.array(
        [
            [[table[f"{o} | {p} | {s}"]["best"][-1] for s in range(1, seeds + 1)] for p in names]
            for o in optimizers
        ]
    )
    ranks = rankdata(finals, axis=0).mean(axis=(1, 2))
    logs = np.log10(np.maximum(finals, 1e-8)).mean(axis=(1, 2))
    against = optimizers.index("random")
    better = (finals < finals[against]).mean(axis=(1, 2))
    print(f"{len(names)} problems, {seeds} seed(s), {BUDGET} evaluations")
    print(f"{'optimizer':40}  rank  log10 regret  beats random  CPU s a run  ms an ask, late")
    for i in np.argsort(ranks):
        own = [
            table[f"{optimizers[i]} | {p} | {s}"]["seconds"]
            for p in names
            for s in range(1, seeds + 1)
        ]
        late = 1000 * float(np.median([np.median(one[-10:]) for one in own]))
        whole = float(np.mean([sum(one) for one in own]))
        print(
            f"{optimizers[i]:40} {ranks[i]:5.2f}  {logs[i]:12.2f}  {better[i]:12.0%}  "
            f"{whole:11.2f}  {late:15.1f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=("few", "mixed", "wide"), default="few")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--functions", type=int, nargs="+", default=list(FUNCTIONS))
    parser.add_argument("--dimensions", type=int, nargs="+", default=[20, 60, 100])
    parser.add_argument("--optimizers", nargs="+")
    given = parser.parse_args()
    optimizers = given.optimizers or (WIDE if given.set == "wide" else FEW)
    names = problems(given.set, given.functions, given.dimensions)
    table: Table = json.loads(given.cache.read_text()) if given.cache.exists() else {}
    for name in names:
        for seed in range(1, given.seeds + 1):
            for optimizer in optimizers:
                key = f"{optimizer} | {name} | {seed}"
                if key not in table:
                    table[key] = run(optimizer, name, seed)
                    given.cache.write_text(json.dumps(table))
    report(table, optimizers, names, given.seeds)


if __name__ == "__main__":
    main()
