"""Fixtures and settings of all tests."""

import signal
from collections.abc import Iterator

import pytest

from objectives.quiet import quiet

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the runs under test do not


@pytest.fixture(autouse=True)
def background_pauses(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pause the LoRA table's producer while a test measures times."""
    if request.node.get_closest_marker("alone") is None:
        yield
        return
    with quiet():
        yield
