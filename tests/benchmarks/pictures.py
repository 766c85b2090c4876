"""Draw the committed pictures of results/ again from the committed runs.

python tests/benchmarks/pictures.py [NAME ...]

NAME is a picture's path, such as results/synthetic_small_budget/rank.png; by default all are drawn.
What to expect: five minutes in all on two cores, most of it for reading 2,280 runs.
"""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from matplotlib.figure import Figure

from experiments.analysis import compare, results

ROOT = Path(__file__).parents[2]
_DPI = 150
_BUDGET, _CENTRED = "results/synthetic_small_budget", "results/synthetic_centred"
_GOALS, _SERVER = "results/several_goals", "results/serving_llamacpp_goals"


@cache
def _runs(*folders: str) -> results.Runs:
    return results.load([ROOT / folder for folder in folders])


FIGURES: dict[str, Callable[[], Figure]] = {
    f"{_BUDGET}/rank.png": lambda: _runs(_BUDGET).plot.ranks_over_budget(),
    f"{_BUDGET}/critical_difference.png": lambda: _runs(_BUDGET).plot.critical_difference(),
    f"{_CENTRED}/centre_bias_ackley.png": (
        lambda: _runs(_BUDGET, _CENTRED).plot.centre_bias("ackley")
    ),
    f"{_GOALS}/rank.png": lambda: _runs(_GOALS).plot.ranks_over_budget(),
    f"{_GOALS}/front_zdt2.png": lambda: _runs(_GOALS).plot.front("zdt2"),
    f"{_GOALS}/front_serving_sim.png": lambda: _runs(_GOALS).plot.front("serving_sim"),
    f"{_SERVER}/front.png": lambda: _runs(_SERVER).plot.front(),
}
"""What draws each figure of the report, by the picture's path."""

COMPARISONS = ("results/lora_ft_smollm2/comparison.png", "results/serving_llamacpp/comparison.png")
"""The pictures of `tuneoff compare` on the runs of their folder."""


def draw(name: str) -> None:
    """Draw one picture.

    Raises:
        KeyError: nothing draws a picture of this name.
    """
    if name in COMPARISONS:
        compare.draw(compare.comparable_runs([(ROOT / name).parent]), ROOT / name)
    else:
        FIGURES[name]().savefig(ROOT / name, dpi=_DPI)


if __name__ == "__main__":
    for each in sys.argv[1:] or [*FIGURES, *COMPARISONS]:
        draw(each)
        print(each)
