"""One evaluation: the objective is called, and what it hands over becomes plain or a failure."""

import errno
import math
import time
import traceback
from dataclasses import replace
from typing import Any, NoReturn

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
    """Evaluate one trial; whatever it raises becomes a failed evaluation.

    A fault of the host becomes an answer without an evaluation.
    """
    started = time.perf_counter()
    try:
        return Answer(trial, normalised(objective.evaluate(given(trial))))
    except (Exception, SystemExit) as error:  # SystemExit: the objective's code, not the user
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
        RuntimeError: the objective raised, or returned something else.
    """
    try:
        return _metrics("test", objective.test(given(trial)))
    except (Exception, SystemExit) as error:
        raise RuntimeError(one_line(error)) from error


def given(trial: Trial) -> Trial:
    """Return a copy, which the objective may change as it likes."""
    return replace(trial, config=dict(trial.config))  # its values are plain


def is_host_fault(error: BaseException) -> bool:
    """Return whether the host is to blame, and not the configuration."""
    if isinstance(error, HostFault):
        return True
    return isinstance(error, OSError) and error.errno in _HOST


def one_line(error: BaseException) -> str:
    """Return the type and the message of an error, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def normalised(evaluation: Any) -> Evaluation:
    """Return an evaluation of plain Python values, which survives JSON.

    Scalars of NumPy and torch become numbers. A metric that is infinite or NaN is left out.

    Raises:
        ValueError: a field holds something else; the message names it.
    """
    if not isinstance(evaluation, Evaluation):
        _wrong("evaluate", "an Evaluation", evaluation)
    error = evaluation.error
    if error is not None and not isinstance(error, str):
        _wrong("error", "text or None", error)
    value = evaluation.value
    if value is None and error is None:
        raise ValueError("evaluation: expected a value or an error, got neither")
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
    """Return a number as a float; NumPy's and torch's scalars are numbers."""
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
