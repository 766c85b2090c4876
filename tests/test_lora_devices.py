"""Each worker on a host uses its own GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

from processes import ROOT

# Torch's answers on a node of four GPUs; the first worker holds its GPU until it is told to end.
WORKER = """
import sys
from types import SimpleNamespace
import torch
visible = sys.argv[1].split(",")
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: len(visible)
torch.cuda.get_device_properties = lambda i: SimpleNamespace(uuid="GPU-" + visible[i])
from objectives.lora_ft import devices
first, second = (devices.take(devices.kind("auto")) for _ in range(2))
assert first == second
print("GPU-" + visible[first.index], flush=True)
sys.stdin.readline()
"""


def _worker(visible: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WORKER, visible]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, cwd=ROOT)


def _taken(worker: "subprocess.Popen[str]") -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def test_four_workers_use_four_gpus_and_a_fifth_shares_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    workers: list[subprocess.Popen[str]] = []
    taken = []
    try:
        for _ in range(5):
            workers.append(_worker("0,1,2,3"))
            taken.append(_taken(workers[-1]))
        assert taken == ["GPU-0", "GPU-1", "GPU-2", "GPU-3", "GPU-0"]
        workers[1].kill()  # this worker held GPU-1
        workers[1].wait()
        workers.append(_worker("0,1,2,3"))
        assert _taken(workers[-1]) == "GPU-1"
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_workers_that_see_the_gpus_in_another_order_take_different_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    workers = [_worker(visible) for visible in ("0,1", "1,0")]
    try:
        assert {_taken(worker) for worker in workers} == {"GPU-0", "GPU-1"}
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_without_a_gpu_it_is_the_cpu_or_refused() -> None:
    program = """
import torch
torch.cuda.is_available = lambda: False
from objectives.lora_ft import devices
print(devices.take(devices.kind("auto")))
devices.kind("cuda")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.stdout == "cpu\n"
    assert "objective.device: expected a GPU that torch can use, got none" in done.stderr
