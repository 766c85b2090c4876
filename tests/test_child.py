"""Commands that an objective runs: nothing of their process group outlives them, or the run."""

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
    """Yield a file's first whole line once it is there."""
    limit = time.monotonic() + 60
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < limit, "the stand-in did not start"
        os.sched_yield()
    yield path.read_text()
