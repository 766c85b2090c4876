"""Mean ranks of `gp_bo` and its peers on BBOB in 5-D, and the CPU seconds that each spends.

    PYTHONPATH=. OMP_NUM_THREADS=1 python tests/benchmarks/ranks.py --cache ranks.json

Every function of BBOB is met twice: on an instance as COCO has it, and on another that is moved
so that its optimum lies anywhere in the cube, corners included. Instances are 1,001 and above, on
which `gp_bo` may be tuned; others are for confirmation and must not be used here. What a run cost
and found is kept in the cache, so that only what is new is computed: `--fresh gp_bo` computes it
again. Two hours for all peers on one core, half of it SMAC's; half a minute for `gp_bo`.

A problem counts once: ranks are of the best value at 20, 30 and 50 evaluations. Wilcoxon's
signed-rank test compares the log regrets with each peer's, corrected by Holm over the peers;
above 0.05 the two are "not distinguishable". CPU seconds are those of ask and tell.
"""

import argparse
import json
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon

from objectives.functions.bbob import Bbob
from objectives.functions.box import Vector

BUDGET = 50
MARKS = (20, 30, 50)
PEERS = ["botorch", "optuna optimizer.sampler=GPSampler", "tpe", "smac_rf", "cma_es", "bamsoo"]
OURS = "gp_bo"
FIRST_INSTANCE = 1001

Table = dict[str, dict[str, Any]]
"""From 'optimizer | problem | seed' to what the run found and cost."""


class Anywhere(Bbob):
    """A BBOB function moved so that its optimum is uniform over the cube."""

    def __init__(self, function: int, instance: int, dimension: int) -> None:
        super().__init__(
            function=function, instance=instance, dimension=dimension, shift=None, space={}
        )
        rng = np.random.default_rng([function, instance])
        self._move = rng.uniform(-5, 5, dimension) - np.array(self._problem.optimum.x)

    def formula(self, x: Vector) -> float:
        return super().formula(x - self._move)


def problem(name: str) -> Bbob:
    """Return the problem of a name such as `f8 i1001 d5` or `f8 i1002 d5 anywhere`."""
    function, instance, dimension = (int(part[1:]) for part in name.split()[:3])
    if name.endswith("anywhere"):
        return Anywhere(function, instance, dimension)
    return Bbob(function=function, instance=instance, dimension=dimension, shift=None, space={})


def names(functions: list[int], dimension: int, n_instances: int) -> list[str]:
    """Return the problems: pairs of instances, the second of each pair moved."""
    return [
        f"f{function} i{FIRST_INSTANCE + k} d{dimension}" + (" anywhere" if k % 2 else "")
        for k in range(n_instances)
        for function in functions
    ]


def run(optimizer: str, name: str, seed: int) -> dict[str, Any]:
    """Return the lowest regret after each evaluation and the CPU seconds of each step."""
    function = problem(name)
    assert function.optimum is not None
    with initialize_config_dir(str(Path("conf").absolute()), version_base=None):
        plug_in, *changes = optimizer.split()
        overrides = [f"+optimizer={plug_in}", f"+budget={BUDGET}", "+seed=0", *changes]
        settings = compose(overrides=overrides).optimizer
    made: Any = instantiate(settings, space=function.space, seed=seed, _convert_="all")
    regrets: list[float] = []
    seconds: list[float] = []
    while len(regrets) < BUDGET:
        start = process_time()
        trials = made.ask(1)
        spent = process_time() - start
        if not trials:
            break
        evaluation = function.evaluate(trials[0])
        assert evaluation.value is not None
        start = process_time()
        made.tell(trials[0], evaluation)
        seconds.append(spent + process_time() - start)
        regrets.append(min([evaluation.value - function.optimum, *regrets[-1:]]))
    regrets += regrets[-1:] * (BUDGET - len(regrets))
    return {"regret": regrets, "seconds": seconds}


def complete(
    table: Table, optimizers: list[str], problems: list[str], seeds: int, to: Path
) -> None:
    """Run what the table lacks, saving it after each run."""
    for name in problems:
        for seed in range(seeds):
            for optimizer in optimizers:
                key = f"{optimizer} | {name} | {seed}"
                if key not in table:
                    table[key] = run(optimizer, name, seed)
                    to.write_text(json.dumps(table))


def logs(table: Table, optimizer: str, problems: list[str], seeds: int) -> NDArray[np.float64]:
    """Return the log10 regrets (problems, marks), the mean over seeds."""
    found = [
        [
            [table[f"{optimizer} | {name} | {seed}"]["regret"][mark - 1] for mark in MARKS]
            for seed in range(seeds)
        ]
        for name in problems
    ]
    means: NDArray[np.float64] = np.log10(np.maximum(found, 1e-8)).mean(axis=1)
    return means


def report(table: Table, optimizers: list[str], problems: list[str], seeds: int) -> None:
    """Print mean ranks, times, and what can be told apart from ours."""
    regrets = np.array([logs(table, optimizer, problems, seeds) for optimizer in optimizers])
    ranks = rankdata(regrets, axis=0).mean(axis=1)  # (optimizers, marks)
    print(
        f"{len(problems)} problems, {seeds} seed(s); mean rank at {MARKS}; CPU s a run; ms an ask"
    )
    for place, optimizer in enumerate(optimizers):
        seconds = [
            table[f"{optimizer} | {name} | {seed}"]["seconds"]
            for name in problems
            for seed in range(seeds)
        ]
        whole = float(np.mean([sum(run) for run in seconds]))
        late = 1000 * float(np.median([np.median(run[-10:]) for run in seconds]))
        shown = "  ".join(f"{rank:5.2f}" for rank in ranks[place])
        print(f"  {optimizer:40} {shown}   {whole:7.2f}  {late:8.1f}")
    ours = regrets[optimizers.index(OURS)]
    rivals = [name for name in optimizers if name != OURS]
    for column, mark in enumerate(MARKS):
        deltas = {n: ours[:, column] - regrets[optimizers.index(n)][:, column] for n in rivals}
        report_pairs(mark, deltas)


def report_pairs(mark: int, deltas: dict[str, NDArray[np.float64]]) -> None:
    """Print, for each rival, how our log regrets differ and whether that means anything."""
    print(f"{OURS} at {mark} evaluations: mean difference of log10 regret, p (Holm)")
    chances = {name: float(wilcoxon(delta).pvalue) for name, delta in deltas.items()}
    largest = 0.0
    for place, name in enumerate(sorted(chances, key=lambda rival: chances[rival])):
        largest = max(largest, min(1.0, chances[name] * (len(chances) - place)))
        delta = deltas[name]
        verdict = "better" if float(np.mean(delta)) < 0 else "worse"
        verdict = verdict if largest < 0.05 else "not distinguishable"
        won = f"{int((delta < 0).sum())} of {len(delta)}"
        print(f"  {name:40} {np.mean(delta):+.2f}  {won:9}  p = {largest:.2g}  {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--cache", type=Path, required=True, help="a JSON file that is kept")
    parser.add_argument("--peers", nargs="*", default=PEERS)
    parser.add_argument("--fresh", nargs="*", default=[], help="optimizers to run again")
    parser.add_argument("--instances", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--dimension", type=int, default=5)
    parser.add_argument("--functions", type=int, nargs="+", default=list(range(1, 25)))
    parser.add_argument("--only", choices=("as is", "anywhere"), help="half of the problems")
    arguments = parser.parse_args()
    table: Table = json.loads(arguments.cache.read_text()) if arguments.cache.exists() else {}
    table = {k: v for k, v in table.items() if k.split(" | ")[0] not in arguments.fresh}
    problems = names(arguments.functions, arguments.dimension, arguments.instances)
    optimizers = [OURS, *arguments.peers]
    complete(table, optimizers, problems, arguments.seeds, arguments.cache)
    if arguments.only:
        moved = arguments.only == "anywhere"
        problems = [name for name in problems if name.endswith("anywhere") == moved]
    report(table, optimizers, problems, arguments.seeds)


if __name__ == "__main__":
    main()
