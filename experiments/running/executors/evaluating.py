"""One evaluation: call the objective, and convert its result to plain values or to a failure."""

import errno
import math
import time
import traceback
from dataclasses import replace
from typing import Any, NoReturn

from experiments.running.events import check_answer
from experiments.running.executors.executor import Answer
from objectives.objective import HostFault, Objective
from objectives.trial import Evaluation, Trial

_HOST = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EADDRINUSE,
    errno.ESTALE,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
)


_MOST_SECONDS = 1e12  # thirty thousand years


def evaluate(objective: Objective, trial: Trial) -> Answer:
    """Evaluate one trial; an exception becomes a failed evaluation.

    If the host is at fault, the answer contains no evaluation.
    """
    started = time.perf_counter()
    try:
        evaluation = normalised(objective.evaluate(given(trial)))
        if evaluation.value is None and evaluation.error is None and len(objective.goals) < 2:
            raise ValueError("evaluation: expected a value or an error, got neither")
        check_answer(evaluation, objective.goals, objective.limits)
        return Answer(trial, evaluation)
    except (Exception, SystemExit) as error:  # SystemExit is raised by the objective's own code
        if isinstance(error, HostFault) and error.final:
            return Answer(trial, None, retried=" ".join(str(error).split()), final=True)
        if is_host_fault(error):
            return Answer(trial, None, retried=one_line(error))
        cost = time.perf_counter() - started
        failed = Evaluation(None, cost, error=one_line(error))
        return Answer(trial, failed, traceback.format_exc())


def test(objective: Objective, trial: Trial) -> dict[str, float]:
    """Return the objective's test metrics at a trial.

    Raises:
        RuntimeError: the objective raised an exception or returned something other than metrics.
    """
    try:
        return _metrics("test", objective.test(given(trial)))
    except (Exception, SystemExit) as error:
        raise RuntimeError(one_line(error)) from error


def given(trial: Trial) -> Trial:
    """Return a copy of the trial, which the objective may modify."""
    return replace(trial, config=dict(trial.config))  # a shallow copy: the values are immutable


def is_host_fault(error: BaseException) -> bool:
    """Return whether an error was caused by the host rather than by the configuration."""
    if isinstance(error, HostFault):
        return True
    return isinstance(error, OSError) and error.errno in _HOST


def one_line(error: BaseException) -> str:
    """Return the type and the message of an error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def normalised(evaluation: Any) -> Evaluation:
    """Return the evaluation with plain Python values, which can be written as JSON.

    NumPy and torch scalars become numbers. Metrics that are infinite or NaN are left out.

    Raises:
        ValueError: a field has a value of another kind; the message names the field.
    """
    if not isinstance(evaluation, Evaluation):
        _wrong("evaluate", "an Evaluation", evaluation)
    error = evaluation.error
    if error is not None and not isinstance(error, str):
        _wrong("error", "text or None", error)
    value = evaluation.value
    if value is not None:
        value = _finite("value", "a finite number", value)
    cost = _finite("cost", "seconds", evaluation.cost)
    if not 0 <= cost <= _MOST_SECONDS:
        _wrong("cost", "seconds", cost)
    metrics = _metrics("metrics", evaluation.metrics)
    return Evaluation(value, cost, metrics, error, _items(evaluation))


def _metrics(where: str, metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, dict):
        _wrong(where, "numbers by name", metrics)
    for name in metrics:
        if not isinstance(name, str):
            _wrong(where, "names that are text", name)
    numbers = {name: _number(f"{where}.{name}", "a number", x) for name, x in metrics.items()}
    return {name: x for name, x in numbers.items() if math.isfinite(x)}


def _items(evaluation: Evaluation) -> dict[str, str]:
    items: Any = evaluation.items
    if not isinstance(items, dict):
        _wrong("items", "packed outcomes by name", items)
    for name, packed in items.items():
        if not isinstance(name, str) or not isinstance(packed, str):
            _wrong(f"items.{name}", "text", packed)
    return dict(items)


def _finite(where: str, rule: str, value: Any) -> float:
    number = _number(where, rule, value)
    return number if math.isfinite(number) else _wrong(where, rule, number)


def _number(where: str, rule: str, value: Any) -> float:
    """Return a number, or a NumPy or torch scalar, as a float."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, bool) and where in ("value", "cost"):
        _wrong(where, rule, value)
    if not isinstance(value, int | float):
        _wrong(where, rule, value)
    try:
        return float(value)
    except OverflowError:
        _wrong(where, rule, value)


def _wrong(where: str, rule: str, value: Any) -> NoReturn:
    shown = str(value) if isinstance(value, float) else repr(value)
    shown = " ".join(shown.split())
    raise ValueError(f"{where}: expected {rule}, got {shown[:80]}")
