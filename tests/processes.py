"""Real runs as child processes, for the tests of the command line and of kills."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TIMES = {"time", "ask_s", "tell_s", "cost"}


def command(*arguments: str) -> list[str]:
    """Return the command line of a run without a figure."""
    flags = [argument for argument in arguments if argument.startswith("-")]
    overrides = [argument for argument in arguments if argument not in flags]
    return [sys.executable, str(ROOT / "run.py"), *flags, "plot=false", *overrides]


def environment() -> dict[str, str]:
    """Return an environment in which a run finds the objectives of the tests."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}"}


def finish(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run to the end."""
    return subprocess.run(
        command(*arguments),
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def events(folder: Path) -> list[dict[str, Any]]:
    """Return the complete lines of the log."""
    text = (folder / "log.jsonl").read_text()
    return [json.loads(line) for line in text.split("\n")[:-1]]


def timeless(folder: Path) -> list[dict[str, Any]]:
    """Return the log without times, which may differ between two equal runs."""
    return [
        {key: value for key, value in event.items() if key not in TIMES} for event in events(folder)
    ]
