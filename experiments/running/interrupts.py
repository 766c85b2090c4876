"""Ctrl-C and SIGTERM end a run between its steps, or inside an evaluation, never inside a step.

A signal handler's exception appears wherever the program happens to be, and compiled code may
swallow it: a `noexcept` function of Cython prints it and goes on with half of its work. An
optimizer interrupted there would ask a wrong trial, and the log would keep it. So the signal
is held while an optimizer works or the log is written, and one that was swallowed in an
evaluation is raised again before that evaluation is believed.
"""

import signal
from collections.abc import Sequence
from types import FrameType

_held = False
_arrived: int | None = None


def install(numbers: Sequence[int], once: bool) -> None:
    """Turn these signals into `KeyboardInterrupt`, which carries any number but Ctrl-C's.

    Args:
        numbers: the signals.
        once: whether all but the first are ignored, so that what tidies up can end.
    """

    def arrive(number: int, frame: FrameType | None) -> None:
        global _arrived
        if once and _arrived is not None:
            return
        _arrived = number
        if not _held:
            check()

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's job in the background
            signal.signal(number, arrive)


def check() -> None:
    """Raise `KeyboardInterrupt` where a signal has arrived."""
    if _arrived is not None:
        raise KeyboardInterrupt(*([] if _arrived == signal.SIGINT else [_arrived]))


class _Block:
    """Holds signals, or lets them interrupt, until its end; then what it was before holds."""

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
    """Hold signals until the end of the block; it may be entered again inside itself."""
    return _Block(True)


def released() -> _Block:
    """Let signals interrupt the block, also inside a block that holds them."""
    return _Block(False)
