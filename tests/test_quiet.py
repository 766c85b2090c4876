"""Processes that measure times pause background work."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from objectives.quiet import Background, quiet


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))


def _pieces(made: list[float], stop: threading.Event) -> None:
    background = Background()
    while not stop.is_set():
        with background.piece():
            time.sleep(0.01)
            made.append(time.monotonic())


def test_the_background_pauses_while_somebody_measures_and_goes_on_after() -> None:
    made: list[float] = []
    stop = threading.Event()
    threads = [threading.Thread(target=_pieces, args=(made, stop)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not made:
        time.sleep(0.01)
    with quiet(), quiet():  # may nest
        begun = time.monotonic()
        time.sleep(0.3)
        ended = time.monotonic()
    n_before = len(made)
    deadline = time.monotonic() + 20
    while len(made) == n_before and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert not [moment for moment in made if begun < moment < ended]
    assert len(made) > n_before


_HOLDER = """
import time
from objectives.quiet import quiet
with quiet():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_holder_holds_nothing() -> None:
    command = [sys.executable, "-c", _HOLDER]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        background = Background()
        assert not background._is_free()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert background._is_free()
