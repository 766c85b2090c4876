"""A real llama.cpp server with the shipped model, for tests."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from objectives.serving.engine import Demand
from objectives.serving.engines.llamacpp import LlamaCpp
from objectives.serving.host.host import free_port
from objectives.trial import Config

_START_S = 60.0
_SLOT_TOKENS = 2048


@contextmanager
def serving() -> Iterator[str]:
    """Serve SmolLM2-135M-Instruct until the block ends; yield the address of its API."""
    engine = LlamaCpp(model="SmolLM2-135M-Instruct", tokens=[1000, 48000])
    port = free_port("127.0.0.1")
    threads: Config = {"n_parallel": 1, "n_threads": 1, "n_threads_batch": 1, "poll": 0}
    launch = engine.launch(threads, port, Demand(tokens=_SLOT_TOKENS, requests=1))
    process = subprocess.Popen(
        launch.command,
        env={**os.environ, **launch.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("llama.cpp: expected a server, got none")
