"""The contract of an optimizer, as the run loop enforces it: what an ask may return, and errors."""

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from experiments.running.fields import is_plain
from objectives.expected import is_number, refuse
from objectives.trial import Trial


def check_trials(
    trials: Any, n: int, shares: Sequence[float], evaluated: Collection[int]
) -> list[Trial]:
    """Return the trials of an ask.

    Args:
        trials: what the optimizer returned.
        n: the number of trials that it was asked for.
        shares: the fidelities that the objective offers.
        evaluated: the ids of the trials that were evaluated before.

    Raises:
        ValueError: the optimizer violated its contract.
    """
    if not isinstance(trials, list | tuple) or not all(isinstance(one, Trial) for one in trials):
        refuse("optimizer", "a list of trials", trials)
    if len(trials) > n:
        refuse("optimizer", f"at most {n} trials, as asked for", len(trials))
    for trial in trials:
        where = f"optimizer: trial {trial.id}"
        fidelity: Any = trial.fidelity
        if not is_number(fidelity) or not any(math.isclose(fidelity, share) for share in shares):
            refuse(f"{where}.fidelity", f"one of {', '.join(f'{x:g}' for x in shares)}", fidelity)
        if trial.resumes is not None and trial.resumes not in evaluated:
            refuse(f"{where}.resumes", "a trial that was evaluated", trial.resumes)
        if not isinstance(trial.config, dict):
            refuse(f"{where}.config", "parameters with their values", trial.config)
        for name, value in trial.config.items():
            if not is_plain(value) or type(value).__module__ != "builtins":
                refuse(f"{where}.config.{name}", "a plain Python value", value)
    return list(trials)


@contextmanager
def faults_of_optimizer(step: str) -> Iterator[None]:
    """Raise `RuntimeError` for an error in an optimizer's own code.

    A `ValueError` with a message in our form is a mistake of the user's, such as a method that
    cannot search the space, and remains. Any other one, or an attempt to exit, would otherwise look
    like such a mistake, or like the end of the run.

    Args:
        step: what the optimizer was asked to do, for the message.
    """
    try:
        yield
    except (ValueError, SystemExit) as error:
        if isinstance(error, ValueError) and ": expected " in str(error):
            raise
        kind = type(error).__name__
        raise RuntimeError(f"optimizer: expected its {step} to end, got {kind}: {error}") from error
