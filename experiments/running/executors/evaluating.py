"""One evaluation: call the objective, and convert its result to plain values or to a failure."""

import asyncio
import errno
import math
import time
import traceback
from dataclasses import replace
from numbers import Real
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
_MOST_CHARACTERS = 4000  # of an error; the longest messages that are read hold a few lines
_MOST_OF_A_TRACEBACK = 20_000  # characters

_RAISED = (Exception, SystemExit, GeneratorExit, asyncio.CancelledError, BaseExceptionGroup)
"""What an objective's own code raises. `KeyboardInterrupt` is a signal to the run."""


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
    except _RAISED as error:
        if _is_interrupt(error):
            raise
        if isinstance(error, HostFault) and error.final:
            return Answer(trial, None, retried=_kept(_text(error)), final=True)
        if is_host_fault(error):
            return Answer(trial, None, retried=one_line(error))
        cost = time.perf_counter() - started
        failed = Evaluation(None, cost, error=one_line(error))
        return Answer(trial, failed, _kept_traceback(traceback.format_exc()))


def test(objective: Objective, trial: Trial) -> dict[str, float]:
    """Return the objective's test metrics at a trial.

    Raises:
        RuntimeError: the objective raised an exception or returned something other than metrics.
    """
    try:
        return _metrics("test", objective.test(given(trial)))
    except _RAISED as error:
        if _is_interrupt(error):
            raise
        raise RuntimeError(one_line(error)) from error


def given(trial: Trial) -> Trial:
    """Return a copy of the trial, which the objective may modify."""
    return replace(trial, config=dict(trial.config))  # a shallow copy: the values are immutable


def is_host_fault(error: BaseException) -> bool:
    """Return whether an error was caused by the host rather than by the configuration."""
    if isinstance(error, HostFault):
        return True
    return isinstance(error, OSError) and error.errno in _HOST


def _is_interrupt(error: BaseException) -> bool:
    """Return whether an error contains the `KeyboardInterrupt` of a signal."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_is_interrupt, error.exceptions))
    return isinstance(error, KeyboardInterrupt)


def one_line(error: BaseException) -> str:
    """Return the type and the message of an error on one line, shortened if it is long."""
    return _kept(f"{type(error).__name__}: {_text(error)}")


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as reason:  # the class of the error is the objective's own
        return f"a message that cannot be shown ({type(reason).__name__})"


def _kept(text: str) -> str:
    """Return a text on one line, as the log can hold it."""
    line = " ".join(text[: 2 * _MOST_CHARACTERS].split())
    return _unicode(line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}...")


def _kept_traceback(text: str) -> str:
    """Return a traceback without its middle if it is long."""
    half = _MOST_OF_A_TRACEBACK // 2
    return _unicode(text if len(text) <= 2 * half else f"{text[:half]}\n...\n{text[-half:]}")


def _unicode(text: str) -> str:
    """Return a text with unpaired surrogates as visible escapes.

    Python represents the bytes of a file's name that are not UTF-8 by such surrogates. UTF-8 cannot
    encode them, so no log may contain them.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def normalised(evaluation: Any) -> Evaluation:
    """Return the evaluation with plain Python values, which can be written as JSON.

    NumPy and torch scalars become numbers. Metrics that are infinite or NaN are left out. A long
    error is shortened.

    Raises:
        ValueError: a field has a value of another kind; the message names the field.
    """
    if not isinstance(evaluation, Evaluation):
        _wrong("evaluate", "an Evaluation", evaluation)
    error = evaluation.error
    if error is not None and (not isinstance(error, str) or not error.strip()):
        _wrong("error", "text or None", error)
    value = evaluation.value
    if value is not None:
        value = _finite("value", "a finite number", value)
    cost = _finite("cost", "seconds", evaluation.cost)
    if not 0 <= cost <= _MOST_SECONDS:
        _wrong("cost", "seconds", cost)
    metrics = _metrics("metrics", evaluation.metrics)
    told = None if error is None else _unicode(error[:_MOST_CHARACTERS])
    return Evaluation(value, abs(cost), metrics, told, _items(evaluation))


def _metrics(where: str, metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, dict):
        _wrong(where, "numbers by name", metrics)
    for name in metrics:
        if not _is_text(name):
            _wrong(where, "names that are text", name)
    numbers = {str(name): _number(f"{where}.{name}", "a number", x) for name, x in metrics.items()}
    return {name: x for name, x in numbers.items() if math.isfinite(x)}


def _items(evaluation: Evaluation) -> dict[str, str]:
    items: Any = evaluation.items
    if not isinstance(items, dict):
        _wrong("items", "packed outcomes by name", items)
    for name, packed in items.items():
        if not _is_text(name) or not _is_text(packed):
            _wrong(f"items.{name}", "text", packed)
    return {str(name): str(packed) for name, packed in items.items()}


def _is_text(value: Any) -> bool:
    """Return whether a value is a text that UTF-8 can encode."""
    return isinstance(value, str) and _unicode(value) == value


def _finite(where: str, rule: str, value: Any) -> float:
    number = _number(where, rule, value)
    return number if math.isfinite(number) else _wrong(where, rule, number)


def _number(where: str, rule: str, value: Any) -> float:
    """Return a number, or a NumPy or torch scalar, as a float."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        kind = getattr(getattr(value, "dtype", None), "kind", "f")
        if kind not in "biuf" or getattr(value, "mask", False):  # a date, or a masked value
            _wrong(where, rule, value)
        plain = value.item()
        value = plain if isinstance(plain, int | float) else value
    if isinstance(value, bool) and where in ("value", "cost"):
        _wrong(where, rule, value)
    if not isinstance(value, Real):
        _wrong(where, rule, value)
    try:
        return float(value)
    except OverflowError:
        _wrong(where, rule, value)


def _wrong(where: str, rule: str, value: Any) -> NoReturn:
    try:
        shown = str(value) if isinstance(value, float) else repr(value)
    except Exception:  # such as an integer of too many digits
        shown = f"a value of the type {type(value).__name__}"
    shown = " ".join(shown.split())
    raise ValueError(f"{_unicode(where)}: expected {rule}, got {shown[:80]}")
