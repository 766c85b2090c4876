"""One setting's values side by side: what does a fault, or a choice, cost?

python -m experiments.replaying.variants optimizer=soo optimizer.variant=v2,published \
    objective=lora_published budget=50

Everything as for `run.py`, and one setting with several values, separated by commas. One line a
value: the best value, its metric and when it was found; as the last line the difference of the
bests between the last value and the first. One seed: for an optimizer that draws, the difference
is that of two draws.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.utils import instantiate
from omegaconf import DictConfig

from experiments.running.composing import composed
from experiments.running.executors.evaluator import InlineEvaluator
from experiments.running.mistakes import answered
from objectives.objective import Objective
from objectives.trial import Evaluation
from optimizers.optimizer import Optimizer

_PLATEAU = 0.002  # of the published surface; regret below it means nothing there


@dataclass(frozen=True)
class Best:
    """The best of a run, and how many evaluations it took.

    Attributes:
        evaluation: the first of the least value.
        found_at: its number, from 1.
        within: the number of the first within .002 of the optimum, None where there is none.
    """

    evaluation: Evaluation
    found_at: int
    within: int | None


def best_of(settings: DictConfig) -> Best:
    """Spend the budget, one trial after the other, and return the best."""
    objective: Objective = instantiate(settings.objective, _convert_="all")
    optimizer: Optimizer = instantiate(
        settings.optimizer, space=objective.space, seed=settings.seed, _convert_="all"
    )
    evaluator = InlineEvaluator(objective)
    best: Best | None = None
    within: int | None = None
    spent, number = 0.0, 0
    while spent < settings.budget:
        trials = optimizer.ask(1)
        if not trials:
            break
        evaluator.submit(trials[0])
        _, evaluation, _ = evaluator.next()
        optimizer.tell(trials[0], evaluation)
        spent, number = spent + trials[0].fidelity, number + 1
        value = evaluation.value
        if evaluation.error is not None or value is None:
            continue
        if within is None and objective.optimum is not None:
            within = number if value <= objective.optimum + _PLATEAU else None
        if best is None or value < (best.evaluation.value or 0.0):
            best = Best(evaluation, number, within)
    if best is None:
        raise ValueError(f"budget: expected one that holds a success, got {settings.budget}")
    return Best(best.evaluation, best.found_at, within)


def report(name: str, bests: dict[str, Best], metric: str | None) -> str:
    """Return one line a value and the difference as the last line."""
    lines = []
    for value, best in bests.items():
        shown = "" if metric is None else f"  {metric} {best.evaluation.metrics[metric]:.4f}"
        near = "never" if best.within is None else f"at {best.within}"
        lines.append(
            f"{name}={value}: best value {best.evaluation.value:.6f}{shown}  found at "
            f"{best.found_at}, within {_PLATEAU:g} of the optimum {near}"
        )
    first, *_, last = bests
    difference = (bests[last].evaluation.value or 0.0) - (bests[first].evaluation.value or 0.0)
    lines.append(f"{name}: {last} is {difference:+.6f} from {first} in value (lower is better)")
    return "\n".join(lines)


def _swept(arguments: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """Return the setting with several values, its values, and the other arguments."""
    several = [a for a in arguments if re.fullmatch(r"[^=\s]+=[^\[\]{}(),]+(,[^\[\]{}(),]+)+", a)]
    if len(several) != 1:
        raise ValueError(
            f"variants: expected one setting with several values, such as "
            f"optimizer.variant=v2,published, got {several or 'none'}"
        )
    name, _, values = several[0].partition("=")
    return name, values.split(","), [a for a in arguments if a != several[0]]


def main(arguments: Sequence[str]) -> int:
    """Run and print; return the exit status."""
    given = list(arguments)

    def command() -> int:
        name, values, others = _swept(given)
        bests: dict[str, Best] = {}
        metric = None
        for value in values:
            settings = composed("config", [*others, f"{name}={value}"])
            bests[value] = best_of(settings)
            metric = instantiate(settings.objective, _convert_="all").metric
        print(report(name.lstrip("+"), bests, metric))
        return 0

    return answered(command, given)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
