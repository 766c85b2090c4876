"""Regret and CPU seconds of SOO and BaMSOO.

`PYTHONPATH=. python tests/benchmarks/bamsoo.py [evaluations]`

First the unshifted functions of the reference table, then, for the time, a ripple in five
dimensions. Seconds are this process's CPU time inside ask and tell, on one torch thread. Takes
about half a minute.

The reference (BaMSOO: eta 0.05, Matern-5/2, noise floor 1e-6, hyperparameters every 5) at 25, 50,
100 and 200 evaluations; its priors are not stated, so BaMSOO's column is a yardstick, no oracle:

    Branin        SOO 0.373 0.0601 1.4e-3 1.8e-5   BaMSOO 0.373 0.0363 3.6e-5 1.7e-8
    Rosenbrock-2  SOO 1.96 1.96 0.0359 9.7e-6     BaMSOO 1.96 0.242 4.3e-4 4.3e-6
    Hartmann-3    SOO 0.134 0.134 0.0445 3.0e-4     BaMSOO 0.134 0.0445 2.0e-4 3.8e-5
    Shekel-10     SOO 9.47 9.12 3.32 1.12        BaMSOO 9.47 8.69 6.55 6.48
    Hartmann-6    SOO 1.51 1.51 0.651 0.117        BaMSOO 1.51 1.34 3.2e-3 7.8e-5
"""

import math
import sys
from pathlib import Path
from time import process_time
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from objectives.functions.box import BoxFunction
from objectives.functions.synthetic import Branin, Hartmann3, Hartmann6, Levy, Rosenbrock, Shekel
from optimizers.optimizer import Optimizer

_MARKS = (25, 50, 100, 200)


def _optimizer(name: str, objective: BoxFunction, budget: int) -> Optimizer:
    """Return the optimizer with the settings of its YAML."""
    conf = str(Path(__file__).parents[2] / "conf")
    with initialize_config_dir(conf, version_base=None):
        settings = compose(overrides=[f"+optimizer={name}", f"+budget={budget}"])
    made: Any = instantiate(settings.optimizer, space=objective.space, seed=0, _convert_="all")
    assert isinstance(made, Optimizer)
    return made


def _regrets(name: str, objective: BoxFunction, budget: int) -> tuple[list[float], float]:
    """Return the regret after each evaluation and the optimizer's own CPU seconds."""
    assert objective.optimum is not None
    optimizer = _optimizer(name, objective, budget)
    best, regrets, seconds = math.inf, [], 0.0
    for _ in range(budget):
        start = process_time()
        (trial,) = optimizer.ask(1)
        seconds += process_time() - start
        evaluation = objective.evaluate(trial)
        assert evaluation.value is not None
        start = process_time()
        optimizer.tell(trial, evaluation)
        seconds += process_time() - start
        best = min(best, evaluation.value)
        regrets.append(best - objective.optimum)
    return regrets, seconds


def main(budget: int) -> None:
    """Print one line per function and optimizer."""
    objectives: dict[str, BoxFunction] = {
        "Branin": Branin(shift="none", space={}),
        "Rosenbrock-2": Rosenbrock(dimension=2, shift="none", space={}),
        "Hartmann-3": Hartmann3(shift="none", space={}),
        "Shekel-10": Shekel(shift="none", space={}),
        "Hartmann-6": Hartmann6(shift="none", space={}),
    }
    for title, objective in objectives.items():
        for name in ("soo", "bamsoo"):
            regrets, seconds = _regrets(name, objective, budget)
            shown = "  ".join(f"{regrets[n - 1]:8.3g}" for n in _MARKS if n <= budget)
            print(f"{title:14}{name:8}{shown}  {seconds:6.2f} CPU s", flush=True)
    for shift in range(3):
        _, seconds = _regrets("bamsoo", Levy(dimension=5, shift=shift, space={}), 50)
        print(f"Levy-5 shift {shift}, 50 evaluations: bamsoo {seconds:.2f} CPU s (limit 5)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
