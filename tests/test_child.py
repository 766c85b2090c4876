"""Commands that an objective runs: no process of their group outlives them or the run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from objectives import child
from processes import ROOT

FAMILY = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', "
FAMILY += "'import time; time.sleep(600)']); print(p.pid, flush=True); "


def _gone(pid: int) -> bool:
    """Return whether a process ends within ten seconds."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        psutil.wait_procs([process], timeout=10)
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("end", ["time.sleep(600)", "sys.exit(1)", "sys.exit(0)"])
def test_nothing_of_a_command_s_process_group_outlives_it(end: str, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    try:
        child.run(
            [sys.executable, "-c", FAMILY + end],
            name="stand-in",
            folder=tmp_path,
            output=output,
            environment=os.environ,
            timeout_s=3,
        )
    except child.Failed:
        pass
    assert _gone(int(output.read_text()))


def test_the_group_ends_when_the_run_is_killed(tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    waiting = "from objectives.child import end_with_parent; end_with_parent(); "
    inner = waiting + FAMILY + "time.sleep(600)"
    program = f"""
import os, sys
from pathlib import Path
from objectives import child
child.run([sys.executable, "-c", {inner!r}], name="stand-in", folder=Path({str(ROOT)!r}),
          output=Path({str(output)!r}), environment=os.environ, timeout_s=600)
"""
    run = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        for line in _lines(output):
            grandchild = int(line)
            break
        assert psutil.Process(grandchild).is_running()
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert _gone(grandchild)


def _lines(path: Path) -> Iterator[str]:
    """Yield a file's first complete line as soon as it is written."""
    limit = time.monotonic() + 60
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < limit, "the stand-in did not start"
        os.sched_yield()
    yield path.read_text()


POLITE = """
import pathlib, signal, sys, time
def leave(*_):
    pathlib.Path(sys.argv[1]).write_text("gave it back")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
time.sleep(600)
"""
STUBBORN = POLITE.replace("signal.SIGTERM, leave", "signal.SIGTERM, signal.SIG_IGN")


def _running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return the running processes; a zombie does not count."""
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def _guarded(program: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Start a program under its guard, and wait until it runs."""
    command = child.guarded([sys.executable, "-c", program, str(folder / "left")])
    output = folder / "out.txt"
    process = child.start(command, folder=folder, output=output, environment=os.environ)
    for _ in _lines(output):
        break
    return process


def test_a_program_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    process = _guarded(POLITE, tmp_path)
    child.end(process, grace_s=30)
    assert (tmp_path / "left").read_text() == "gave it back"


def test_a_program_that_ignores_that_is_killed_after_its_grace(tmp_path: Path) -> None:
    process = _guarded(STUBBORN, tmp_path)
    family = psutil.Process(process.pid).children()
    child.end(process, grace_s=0.2)
    assert family and _running(family) == []


def test_a_guarded_program_is_asked_to_end_when_the_run_is_killed(tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    program = f"""
import os, sys
from pathlib import Path
from objectives import child
words = child.guarded([sys.executable, "-c", {POLITE!r}, {str(tmp_path / "left")!r}])
child.run(words, name="stand-in", folder=Path({str(ROOT)!r}), output=Path({str(output)!r}),
          environment=os.environ, timeout_s=600)
"""
    run = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        for _ in _lines(output):
            break
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    limit = time.monotonic() + 60
    while not (tmp_path / "left").exists():
        assert time.monotonic() < limit, "nobody asked the program to end"
        os.sched_yield()


def test_when_a_group_is_ended_none_of_it_runs_any_more(tmp_path: Path) -> None:
    # A killed process with 0.5 GB needs some time to release it. Only `end` waits for it, because
    # it is not our child.
    large = "held = b'x' * (1 << 29); print('ready', flush=True); import time; time.sleep(600)"
    process = _guarded(large, tmp_path)
    family = psutil.Process(process.pid).children()
    child.end(process)
    assert family and _running(family) == []
