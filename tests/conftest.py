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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the long tests first, so that none of them is left to one worker at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
