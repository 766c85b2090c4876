"""CPU milliseconds of one evaluation of `serving_sim` with 500 requests; the target is 100.

`PYTHONPATH=. python tests/benchmarks/serving_sim.py [configurations]`

It prints first the seconds of the first evaluation, which compiles (10 s, once per machine and
change of the code) or loads the compiled code from the cache. Then it prints the median, the 95th
percentile and the maximum of this process's CPU time over random configurations that start,
evaluated twice each. It takes ten seconds.
"""

import sys
from pathlib import Path
from time import process_time

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from objectives.objective import Objective
from objectives.space import UnitCube
from objectives.trial import Trial


def main(n: int) -> None:
    """Print the times of n configurations."""
    conf = str(Path(__file__).parents[2] / "conf")
    with initialize_config_dir(conf, version_base=None):
        settings = compose(overrides=["+objective=serving_sim"]).objective
    objective: Objective = instantiate(settings, _convert_="all")
    cube, generator = UnitCube(objective.space), np.random.default_rng(0)
    start = process_time()
    objective.evaluate(Trial(0, dict(settings.default)))
    print(f"first evaluation and the reference: {process_time() - start:.1f} CPU s")
    seconds: list[float] = []
    while len(seconds) < n:
        config = cube.config(generator.random(cube.dim))
        if not cube.allows(config) or objective.evaluate(Trial(0, config)).error:
            continue
        start = process_time()
        objective.evaluate(Trial(1, config))
        seconds.append(process_time() - start)
    quantiles = 1e3 * np.quantile(seconds, [0.5, 0.95, 1.0])
    print("CPU ms an evaluation: median {:.1f}, 95 % {:.1f}, largest {:.1f}".format(*quantiles))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
