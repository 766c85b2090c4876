"""Ctrl-C and SIGTERM end a run between its steps or inside an evaluation, never inside a step.

The exception of a signal handler is raised wherever the program happens to be, and compiled code
may swallow it: a `noexcept` Cython function prints it and continues with incomplete work. An
optimizer that is interrupted there would ask for a wrong trial, and the log would record it.
Signals are therefore deferred while an optimizer works or the log is written. A signal that was
swallowed during an evaluation is raised again before the evaluation is used.
"""

import signal
from collections.abc import Sequence
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a command to end."""

_held = False
_arrived: int | None = None


def install(numbers: Sequence[int], once: bool) -> None:
    """Turn these signals into `KeyboardInterrupt`.

    The exception carries the signal's number, except for SIGINT.

    Args:
        numbers: the signal numbers.
        once: whether to ignore all signals after the first, so that the cleanup can finish.
    """

    def arrive(number: int, frame: FrameType | None) -> None:
        global _arrived
        if once and _arrived is not None:
            return
        _arrived = number
        if not _held:
            check()

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # ignored in a shell's background job
            signal.signal(number, arrive)


def end_silently(numbers: Sequence[int]) -> None:
    """Let these signals end the process at once, as its work is done and only its exit is left.

    A handler that raises there would interrupt Python's own shutdown, which prints a traceback.
    """
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def check() -> None:
    """Raise `KeyboardInterrupt` if a signal has arrived."""
    if _arrived is not None:
        raise KeyboardInterrupt(*([] if _arrived == signal.SIGINT else [_arrived]))


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
