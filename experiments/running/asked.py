"""What an optimizer may ask for: the rules that the answer to an ask must keep."""

import math
from collections.abc import Container, Sequence
from typing import Any

from experiments.running.fields import is_plain
from objectives.expected import is_number, is_whole, refuse
from objectives.trial import Trial


def check_asked(
    asked: Any, n: int, grid: Sequence[float], known: Container[int], evaluated: Container[int]
) -> None:
    """Check the answer to an ask, which a plug-in may have made.

    Args:
        asked: what the optimizer returned.
        n: the number of trials that it was asked for.
        grid: the shares of a full evaluation that the objective offers.
        known: the ids of the trials that were asked before.
        evaluated: the ids of the trials that were evaluated.

    Raises:
        ValueError: it is not a list of at most `n` new trials with plain values.
    """
    if not isinstance(asked, list):
        refuse("optimizer", "a list of trials", asked)
    if len(asked) > n:
        refuse("optimizer", f"at most {n} trials, as asked for", len(asked))
    for trial in asked:
        if not isinstance(trial, Trial):
            refuse("optimizer", "a list of trials", trial)
        if not isinstance(trial.id, int) or not is_whole(trial.id, 0):
            refuse("optimizer: trial.id", "an integer of at least 0", trial.id)
        if trial.id in known:
            raise ValueError(
                f"optimizer: expected a new trial, got id {trial.id}, which was asked before"
            )
        _check_trial(f"optimizer: trial {trial.id}", trial, grid, evaluated)


def _check_trial(
    where: str, trial: Trial, grid: Sequence[float], evaluated: Container[int]
) -> None:
    fidelity: Any = trial.fidelity
    number = isinstance(fidelity, int | float) and is_number(fidelity)
    if not number or not any(math.isclose(fidelity, share) for share in grid):
        shares = ", ".join(f"{share:g}" for share in grid)
        refuse(f"{where}.fidelity", f"one of {shares}", fidelity)
    if trial.resumes is not None:
        if not isinstance(trial.resumes, int) or trial.resumes not in evaluated:
            refuse(f"{where}.resumes", "a trial that was evaluated", trial.resumes)
    config: Any = trial.config
    if not isinstance(config, dict):
        refuse(f"{where}.config", "a value by parameter", config)
    for name, value in config.items():
        if not isinstance(name, str):
            refuse(f"{where}.config", "names of parameters as text", name)
        if not is_plain(value) or type(value).__module__ != "builtins":
            refuse(f"{where}.config.{name}", "a plain Python value", value)
