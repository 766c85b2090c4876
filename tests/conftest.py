"""What holds for every test."""

import signal
from collections.abc import Iterator

import pytest

from objectives.quiet import quiet

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # `make test &`: a script's job ignores it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the runs under test do not


@pytest.fixture(autouse=True)
def background_pauses(request: pytest.FixtureRequest) -> Iterator[None]:
    """While a test that measures times runs, the LoRA table's producer waits."""
    if request.node.get_closest_marker("alone") is None:
        yield
        return
    with quiet():
        yield
