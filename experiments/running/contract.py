"""The contract of an optimizer: an error in its own code is not reported as the user's mistake."""

from collections.abc import Iterator
from contextlib import contextmanager


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
