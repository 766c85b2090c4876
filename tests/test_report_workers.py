"""The report's workers end together with it, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = """
import os, sys, time
from experiments.analysis.report.workers import workers

with workers(1, 2) as (forests, drawing):
    futures = [pool.submit(os.getpid) for pool in (forests, drawing, drawing)]
    pids = {future.result() for future in futures}
    busy = [pool.submit(time.sleep, 600) for pool in (forests, drawing, drawing)]
    print(*pids, flush=True)
    sys.stdin.readline()
"""


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_report(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        pids = list(map(int, process.stdout.readline().split()))
        assert len(pids) >= 2 and all(map(_alive, pids))
        os.kill(process.pid, number)
        process.wait(timeout=30)
    deadline = time.monotonic() + 20
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, pids))


def test_an_error_in_the_report_does_not_wait_for_its_workers() -> None:
    from experiments.analysis.report.workers import workers

    began = time.monotonic()
    with pytest.raises(KeyError), workers(1) as (pool,):
        pool.submit(time.sleep, 600)
        raise KeyError("it broke")
    assert time.monotonic() - began < 60
