"""`tuneoff replay`: check whether an optimizer reproduces a recording, given the same scores.

The comparison depends on the optimizer:

- Any optimizer: each proposed configuration is compared with the recorded one, and the optimizer
  is told the recorded value. The replay stops at the first difference; `matched K of N` counts the
  steps before it.
- An optimizer that bounds values (`matching.Bounding`) also receives the recorded bounds of rows
  that were not evaluated, so that its decisions are replayed. `gp=own` compares the decisions of
  its own model with the recorded ones.
- An optimizer that rates configurations (`rating.Rating`): its recording has an unknown seed, so
  its proposals cannot be reproduced. Instead, each recorded proposal is ranked by the optimizer's
  acquisition function, given the data before it.
"""

import sys
from collections.abc import Sequence

from hydra.utils import instantiate
from omegaconf import DictConfig

from experiments.replaying.matching import Bounding, Match
from experiments.replaying.matching import report as report_match
from experiments.replaying.rating import Rating, percentiles
from experiments.replaying.rating import report as report_percentiles
from experiments.replaying.recording import read
from experiments.running.composing import ComposedCommand
from experiments.running.readers import path
from objectives import expected
from objectives.objective import Objective
from optimizers.optimizer import Optimizer


def replay(settings: DictConfig) -> str:
    """Replay a recording, and return the text to print.

    Raises:
        ValueError, OSError, HydraException: an input or a setting is invalid.
    """
    expected.text("data", settings.data, "the path of a CSV file")
    expected.one_of("gp", settings.gp, ("recorded", "own"))
    expected.switch("maximise", settings.maximise)
    expected.whole("seed", settings.seed, 0)
    expected.whole("points", settings.points, 1)
    objective: Objective = instantiate(settings.objective, _convert_="all")
    space = objective.space
    algorithm = None if settings.algorithm is None else str(settings.algorithm)
    steps = read(
        path("data", settings.data), space, algorithm, str(settings.score), settings.maximise
    )
    optimizer: Optimizer = instantiate(
        settings.optimizer, space=space, seed=settings.seed, _convert_="all"
    )
    own = settings.gp == "own"
    if own and not isinstance(optimizer, Bounding):
        name = type(optimizer).__name__
        raise ValueError(
            f"gp: expected recorded, as {name} computes no bounds, got own; "
            f"try optimizer=bamsoo optimizer.variant=published"
        )
    if isinstance(optimizer, Rating):
        ranked = percentiles(optimizer, space, steps, settings.points, settings.seed)
        return report_percentiles(ranked, steps, settings.points)
    match = Match(optimizer, steps, own)
    return report_match(match, match.run(), len(steps), own)


COMMAND = ComposedCommand(
    "replay",
    "Check whether an optimizer reproduces a recorded sequence of evaluations.",
    [
        (
            "tuneoff replay data=study.csv algorithm=SOO optimizer=soo optimizer.variant=published",
            "compare the configurations one by one",
        ),
        (
            "tuneoff replay data=study.csv algorithm=BO-GP optimizer=gp_bo",
            "rank each proposal by the acquisition function",
        ),
    ],
)


def main(arguments: Sequence[str]) -> int:
    """Replay a recording and print the result; return the exit status."""
    return COMMAND.answer(arguments, _replay)


def _replay(settings: DictConfig) -> int:
    print(replay(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
