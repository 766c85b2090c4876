"""After an error, nothing keeps the process alive."""

import subprocess
import sys
import threading

import pytest

from objectives.space import build_space
from objectives.trial import Evaluation
from optimizers.nevergrad_bridge import NevergradBridge
from processes import ROOT

PROGRAM = """
import threading
from experiments.running.leaving import carried_out
def command():
    threading.Thread(target=threading.Event().wait).start()
    print("printed")
    {end}
carried_out(command)
"""


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        ("raise TypeError('a fault')", 1, "TypeError: a fault"),
        ("raise SystemExit('gone')", 1, "gone"),
        ("raise SystemExit(3)", 3, ""),
    ],
)
def test_a_thread_that_waits_for_ever_does_not_hold_a_failed_command(
    end: str, status: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (status, "printed\n") and said in done.stderr


@pytest.mark.parametrize("name", ["Cobyla", "NGOpt"])
def test_the_threads_of_a_search_end_when_it_is_closed(name: str) -> None:
    axis = {"type": "float", "lower": 0.0, "upper": 1.0}
    space = build_space({"x": axis, "y": axis})
    before = threading.active_count()
    optimizer = NevergradBridge(space, seed=0, name=name, budget=20, num_workers=1)
    for value in (1.0, 2.0):
        for trial in optimizer.ask(1):
            optimizer.tell(trial, Evaluation(value, 1.0))
    optimizer.ask(1)
    optimizer.close()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(10)
    assert threading.active_count() <= before
