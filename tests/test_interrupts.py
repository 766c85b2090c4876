"""Signals that arrive while an optimizer works, or that an evaluation swallows."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import ANY

import pytest

from experiments.running.executors.pool import Done, Pool
from processes import ROOT

START = """
import os, signal
from experiments.running import interrupts

def arrives():
    os.kill(os.getpid(), signal.{name})

interrupts.install((signal.SIGINT, signal.SIGTERM), once={once})
"""


def typed(body: str, name: str = "SIGTERM", once: bool = False) -> str:
    program = START.format(name=name, once=once) + body
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("name", "args"), [("SIGINT", "()"), ("SIGTERM", "(15,)")])
def test_a_signal_in_a_held_block_is_raised_at_its_end(name: str, args: str) -> None:
    body = """
try:
    with interrupts.held():
        with interrupts.held():
            arrives()
        print("still held")
    print("not reached")
except KeyboardInterrupt as interrupt:
    print(interrupt.args)
"""
    assert typed(body, name) == f"still held\n{args}\n"


def test_a_released_block_inside_a_held_one_is_interrupted_at_once() -> None:
    body = """
try:
    with interrupts.held(), interrupts.released():
        arrives()
        print("not reached")
except KeyboardInterrupt:
    print("interrupted")
"""
    assert typed(body) == "interrupted\n"


def test_a_signal_held_before_is_raised_where_a_released_block_begins() -> None:
    body = """
try:
    with interrupts.held():
        arrives()
        with interrupts.released():
            print("not reached")
except KeyboardInterrupt:
    print("interrupted")
"""
    assert typed(body) == "interrupted\n"


def test_a_signal_that_was_swallowed_is_raised_before_the_result_is_used() -> None:
    body = """
try:
    with interrupts.released():
        try:
            arrives()
        except KeyboardInterrupt:
            print("swallowed")
    print("not reached")
except KeyboardInterrupt:
    print("interrupted")
"""
    assert typed(body) == "swallowed\ninterrupted\n"


def test_only_the_first_signal_counts_where_the_tidying_up_must_end() -> None:
    body = """
try:
    arrives()
except KeyboardInterrupt:
    arrives()
    print("tidied up")
"""
    assert typed(body, once=True) == "tidied up\n"


def test_a_signal_that_was_swallowed_is_raised_again_by_the_next_one() -> None:
    body = """
try:
    arrives()
except KeyboardInterrupt:
    print("swallowed")
try:
    arrives()
    print("not reached")
except KeyboardInterrupt:
    print("interrupted")
"""
    assert typed(body, once=True) == "swallowed\ninterrupted\n"


def test_a_signal_that_was_swallowed_is_raised_again_by_itself() -> None:
    body = """
import time
interrupts.AGAIN_S = 0.01
try:
    try:
        arrives()
    except KeyboardInterrupt:
        time.sleep(0.05)  # a cleanup is not interrupted
        print("swallowed")
    time.sleep(60)
except KeyboardInterrupt as interrupt:
    print(interrupt.args)
"""
    assert typed(body, once=True) == "swallowed\n(15,)\n"


def test_a_held_block_inside_a_cleanup_does_not_end_the_cleanup() -> None:
    body = """
try:
    try:
        arrives()
    finally:
        with interrupts.held():
            print("saved")
        print("tidied up")
except KeyboardInterrupt:
    print("interrupted")
"""
    assert typed(body) == "saved\ntidied up\ninterrupted\n"


def test_a_command_that_says_that_it_was_interrupted_is_not_interrupted_again() -> None:
    body = """
try:
    arrives()
except KeyboardInterrupt:
    interrupts.taken()
arrives()
interrupts.check()
print(signal.getitimer(signal.ITIMER_REAL))
"""
    assert typed(body, once=True) == "(0.0, 0.0)\n"


def stopped_and_failed(task: object, report: object) -> None:
    """Fail while a signal is held that ends the worker."""
    os.kill(os.getpid(), signal.SIGTERM)
    raise ValueError("the task failed")


def test_a_worker_that_was_told_to_end_during_a_task_that_failed_ends() -> None:
    pool = Pool(stopped_and_failed, 1)
    try:
        pool.submit(1)
        assert pool.next() == Done(1, error="ValueError: the task failed", traceback=ANY)
        (worker,) = multiprocessing.active_children()
        worker.join(60)
        assert worker.exitcode == 0
    finally:
        pool.close()


def test_a_signal_that_the_shell_ignores_stays_ignored() -> None:
    body = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
interrupts.install((signal.SIGINT,), once=False)
arrives()
print("ignored")
"""
    assert typed(body, "SIGINT") == "ignored\n"


def interrupted(command: list[str], after_s: float) -> tuple[int, str]:
    """Send SIGINT to a command some time after its handlers are installed.

    The handler of SIGTERM shows that they are; Python itself installs one of SIGINT only.
    """
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    caught = 1 << (signal.SIGTERM - 1)
    while process.poll() is None:
        fields = Path(f"/proc/{process.pid}/status").read_text().partition("SigCgt:")[2].split()
        if int(fields[0], 16) & caught:
            break
        time.sleep(0.005)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


RUN = ["run.py", "optimizer=lhs", "objective=ackley", "budget=100000", "plot=false"]
COMMANDS = [
    (RUN, 0.0),
    (RUN, 0.2),
    (RUN, 0.6),
    (["-m", "experiments", "sweep", "experiment=smoke"], 0.4),
    (["-m", "experiments", "status", "results/confirmation"], 0.1),
    (["-m", "experiments", "report", "results/confirmation"], 0.2),
]


@pytest.mark.parametrize(("command", "after_s"), COMMANDS)
def test_ctrl_c_while_a_command_starts_is_one_line(
    command: list[str], after_s: float, tmp_path: Path
) -> None:
    out = "out=" + str(tmp_path / ("page.html" if "report" in command else "made"))
    given = command if "status" in command else [*command, out]
    status, said = interrupted(given, after_s)
    assert (status, said.count("\n")) == (130, 1), said
    assert said.startswith("interrupted")
    assert not (tmp_path / "page.html").exists()


def test_a_command_that_swallowed_a_signal_and_went_on_ends_as_interrupted(tmp_path: Path) -> None:
    (tmp_path / "swallowing.py").write_text(
        """
import os, signal
from experiments import command, entry

def main(arguments):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except:
        print("swallowed")
    return 0

command.main = main
entry.start([])
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "swallowing"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (143, "swallowed\n")
    assert done.stderr == "interrupted\n"


def test_an_interrupt_inside_exec_leaves_the_exit_status(tmp_path: Path) -> None:
    (tmp_path / "interrupted_in_exec.py").write_text(
        """
import os, signal
from experiments import command, entry

def main(arguments):
    exec("os.kill(os.getpid(), signal.SIGINT)\\nwhile True: pass", globals())

command.main = main
entry.start([])
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted_in_exec"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
