"""Fixtures and settings of all tests."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Limit the size of files, so that writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the long tests first, so that none of them is left to one worker at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
