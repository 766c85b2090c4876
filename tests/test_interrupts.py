"""Signals that arrive while an optimizer works, or that an evaluation swallows."""

import subprocess
import sys

import pytest

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


def test_a_signal_that_the_shell_ignores_stays_ignored() -> None:
    body = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
interrupts.install((signal.SIGINT,), once=False)
arrives()
print("ignored")
"""
    assert typed(body, "SIGINT") == "ignored\n"
