"""Start runs cheaply, by forking a process that has already imported everything."""

import multiprocessing
import os
import runpy
import sys
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from processes import ROOT

PRELOAD = [
    "experiments.running.command_line",
    *(f"optimizers.{p.stem}" for p in ROOT.glob("optimizers/*.py")),
]


def context() -> ForkServerContext:
    """Return the context whose server imports the run loop and all optimizers, once."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(PRELOAD)
    return forks


def start(arguments: list[str], output: Path) -> ForkServerProcess:
    """Start `run.py` with these arguments in a process of its own."""
    model = {name: os.environ[name] for name in ("TUNEOFF_LLM_URL",) if name in os.environ}
    process = context().Process(target=_main, args=(arguments, output, model))
    process.start()
    return process


def _main(arguments: list[str], output: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)  # the server may have started before the variables were set
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(ROOT)
    sys.argv = [str(ROOT / "run.py"), "plot=false", *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")
