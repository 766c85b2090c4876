"""Ctrl-C and SIGTERM end a run between its steps or inside an evaluation, never inside a step.

The exception of a signal handler is raised wherever the program happens to be, and compiled code
may swallow it: a `noexcept` Cython function prints it and continues with incomplete work. An
optimizer that is interrupted there would ask for a wrong trial, and the log would record it.
Signals are therefore deferred while an optimizer works or the log is written. A signal that was
swallowed during an evaluation is raised again before the evaluation is used.

Where only the first signal counts, nobody can repeat one that a library swallowed: a bare `except`
in a module that is being imported, a callback of compiled code, a destructor. Such a signal is
therefore raised again every `AGAIN_S` seconds until the command ends because of it.
"""

import signal
import sys
from collections.abc import Sequence
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a command to end."""

AGAIN_S = 1.0
"""The time after which a signal that was swallowed is raised again."""

_held = False
_arrived: int | None = None
_taken = False


def install(numbers: Sequence[int], once: bool) -> None:
    """Turn these signals into `KeyboardInterrupt`.

    The exception carries the signal's number, except for SIGINT.

    Args:
        numbers: the signal numbers.
        once: whether to ignore the signals that arrive while the exception of an earlier one is
            handled, so that the cleanup can finish.
    """

    def arrive(number: int, frame: FrameType | None) -> None:
        global _arrived
        if _taken or (once and _is_handled()):
            return
        _arrived = number
        if once:
            _remind()
        if not _held:
            raise _interrupt(number)

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # ignored in a shell's background job
            signal.signal(number, arrive)


def taken() -> None:
    """Ignore all later signals: the command ends now, because of the one that has arrived."""
    global _taken
    if _arrived is not None:
        _taken = True
        signal.setitimer(signal.ITIMER_REAL, 0)


def end_silently(numbers: Sequence[int]) -> None:
    """Let these signals end the process at once, as its work is done and only its exit is left.

    A handler that raises there would interrupt Python's own shutdown, which prints a traceback.
    """
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def check() -> None:
    """Raise `KeyboardInterrupt` if a signal has arrived, unless it is already being handled."""
    if _arrived is not None and not _taken and not _is_handled():
        raise _interrupt(_arrived)


def _interrupt(number: int) -> KeyboardInterrupt:
    return KeyboardInterrupt(*([] if number == signal.SIGINT else [number]))


def _is_handled() -> bool:
    """Return whether this code runs while the exception of a signal is handled, as in a cleanup."""
    error = sys.exception()
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _remind() -> None:
    """Have the signal that arrived raised again, unless the program uses the alarm itself."""
    if signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, _again):
        signal.signal(signal.SIGALRM, _again)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)


def _again(number: int, frame: FrameType | None) -> None:
    if not _taken:
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        if not _held:
            check()


class _Block:
    """A context that defers signals or lets them interrupt; its end restores the previous state."""

    def __init__(self, hold: bool) -> None:
        self._hold = hold

    def __enter__(self) -> None:
        global _held
        if not self._hold:
            check()
        self._before, _held = _held, self._hold

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        global _held
        _held = self._before
        if kind is None and not (_held and self._hold):
            check()


def held() -> _Block:
    """Defer signals until the end of the block; blocks can be nested."""
    return _Block(True)


def released() -> _Block:
    """Let signals interrupt the block, even if it is nested in a block that defers them."""
    return _Block(False)
