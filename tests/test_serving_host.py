"""The machine of a server: its GPUs, remains of servers, faults and secrets."""

import json
import mmap
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.running.mistakes import explain
from node import build, search_path, serving, stand_in_engine
from objectives import child
from objectives.objective import HostFault
from objectives.serving.engine import Engine
from objectives.serving.engines import host_faults
from objectives.serving.engines.hub import download, is_hub_name
from objectives.serving.engines.vllm import Vllm
from objectives.serving.grades import Failure, SetUpError, record
from objectives.serving.host import on_host
from objectives.serving.host.launcher import Local, Srun, Ssh
from objectives.serving.host.machine import visible_gpus
from objectives.serving.host.on_host import Leftovers
from objectives.serving.host.secrets import check_settings
from objectives.serving.host.server import Server
from objectives.trial import Trial

TOKEN = "hf_" + "Ab1" * 10
LISTED = [f"GPU {i}: stand-in (UUID: GPU-{i}f)" for i in range(8)]


@pytest.fixture(autouse=True)
def _on_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", search_path())
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def ssh() -> Ssh:
    return Ssh(host="node", program="ssh", options=[], python=sys.executable)


def line(*overrides: str) -> str:
    """Return the one line that the command line prints for a mistake."""
    try:
        build("serving_vllm", *overrides)
    except Exception as error:
        explained = explain(error, list(overrides))
        assert explained is not None and "\n" not in explained
        return explained
    raise AssertionError("expected a mistake")


@pytest.mark.parametrize(
    ("visible", "places"),
    [
        (None, range(8)),
        ("4,5", [4, 5]),
        (" 4 , 5 ", [4, 5]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0,9,1", [0]),  # entries after an invalid one are ignored
        ("0,1,0", []),  # a GPU is named twice, so CUDA sees none
        ("GPU-3f,GPU-1f", [3, 1]),
        ("GPU-3", [3]),
        ("GPU-", []),  # ambiguous
    ],
)
def test_the_gpus_that_cuda_would_see(visible: str | None, places: Any) -> None:
    assert visible_gpus(LISTED, visible) == [LISTED[i] for i in places]


def test_a_slice_of_a_gpu_is_one() -> None:
    assert visible_gpus(LISTED, "MIG-1,MIG-2") == ["MIG-1", "MIG-2"]


def test_more_gpus_than_are_visible_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    said = line()
    assert "objective.engine.gpus: expected 8 GPUs on this machine, got 2" in said
    assert "(CUDA_VISIBLE_DEVICES=4,5)" in said
    gpus = build("serving_vllm", "objective.engine.gpus=2").fingerprint()["gpus"]
    assert gpus == ["GPU 4: stand-in", "GPU 5: stand-in"]


def test_so_are_more_than_the_server_will_see() -> None:
    assert "got 1 (CUDA_VISIBLE_DEVICES=3)" in line(
        '+objective.engine.environment.CUDA_VISIBLE_DEVICES="3"'
    )


FREE = (
    "ValueError: Free memory on device cuda:0 ({free}/79.15 GiB) on startup is less than desired "
    "GPU memory utilization (0.97, 76.8 GiB). Decrease GPU memory utilization or reduce GPU memory "
    "used by other processes."
)
HELD = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
    "capacity of 79.15 GiB of which 12.50 MiB is free. {others}Including non-PyTorch memory, this "
    "process has 19.10 GiB memory in use."
)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (FREE.format(free="40.0"), "other programs hold 49% of a GPU's memory"),
        (
            "AssertionError: Error in memory profiling. Initial free memory 1, current free memory "
            "2. This happens when other processes sharing the same container release GPU memory "
            "while vLLM is profiling.",
            "released GPU memory",
        ),
        (HELD.format(others="Process 12 has 60.00 GiB memory in use. "), "hold 60.0 GiB"),
        (
            "The memory capacity is unbalanced. Some GPUs may be occupied by other processes.",
            "some GPUs",
        ),
        ("RuntimeError: CUDA-capable device(s) is/are busy or unavailable", "busy or unavailable"),
        ("RuntimeError: No CUDA GPUs are available", "no GPU"),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", "accept its licence"),
        ("Access to model meta-llama/X is restricted and you are not in the list", "accept its"),
        ("requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: x", "accept its"),
        ("LocalEntryNotFoundError: we couldn't connect to the Hub", "could not be downloaded"),
        ("urllib3: Max retries exceeded with url: /api/models", "could not be downloaded"),
        ("OSError: a/b is not a local folder and is not a valid model identifier", "no such model"),
        ("OSError: [Errno 28] No space left on device", "is full"),
        ("OSError: [Errno 24] Too many open files", "open files"),
        ("GPU has fallen off the bus.", "has failed"),
    ],
)
def test_a_fault_of_the_host_is_told_by_what_the_server_prints(printed: str, expected: str) -> None:
    found = host_faults.find(f"INFO loading\n{printed}\n")
    assert found is not None and expected in found


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "vllm: error: unrecognized arguments: --max-num-partial-prefills=1",
        "ValueError: No available memory for the cache blocks. Try increasing "
        "`gpu_memory_utilization` when initializing the engine.",
        "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.",
        HELD.format(others=""),  # the server's own memory
        HELD.format(others="Process 12 has 320.00 MiB memory in use. "),
        FREE.format(free="78.9"),  # no other program is there, so the utilization is too high
    ],
)
def test_a_configurations_own_fault_is_none_of_the_hosts(printed: str) -> None:
    assert host_faults.find(printed) is None


def objective(behaviour: str, **changes: Any) -> Any:
    space = {"max_num_seqs": {"type": "int", "lower": 1, "upper": 9}}
    engine = stand_in_engine(Vllm, Local(), behaviour)
    return serving(engine, space, {"max_num_seqs": 4}, **changes)


@pytest.mark.parametrize("behaviour", ["is_crowded_out", "loses_its_gpu"])
def test_such_a_fault_is_repeated_and_never_scored(behaviour: str) -> None:
    found = objective(behaviour, repeats=1, max_late_s=10.0)
    with pytest.raises(HostFault, match="^host: invalid: (other programs hold|a GPU has failed)"):
        found.evaluate(Trial(0, {"max_num_seqs": 4}))


@pytest.fixture
def shared() -> Iterator[Path]:
    """A unique name below /dev/shm; its remaining files are deleted afterwards."""
    path = Path("/dev/shm") / f"tuneoff-test-{uuid.uuid4().hex}"
    yield path
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()


def test_shared_memory_that_a_server_left_is_removed(shared: Path) -> None:
    before, used = (
        shared.with_name(f"{shared.name}-before"),
        shared.with_name(f"{shared.name}-used"),
    )
    before.write_bytes(b"x")
    leftovers = Leftovers(with_gpus=False)
    shared.write_bytes(b"x")
    used.write_bytes(b"x" * mmap.PAGESIZE)
    with used.open("r+b") as file, mmap.mmap(file.fileno(), mmap.PAGESIZE):
        leftovers.clear()
    assert not shared.exists()  # no process uses it
    assert before.exists() and used.exists()  # they belong to another program


def test_a_server_that_is_killed_leaves_no_shared_memory(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_SHARED", str(shared))
    assert (
        objective("serves", max_late_s=10.0).evaluate(Trial(0, {"max_num_seqs": 4})).error is None
    )
    assert not shared.exists()


def test_a_gpus_memory_is_awaited_after_a_server_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In use: 500 MiB before; then 70,000, 40,000, and 600, which is within the slack.
    monkeypatch.setattr(on_host, "_POLL_S", 0.001)
    program, numbers = tmp_path / "nvidia-smi", tmp_path / "numbers"
    numbers.write_text("500\n70000\n40000\n600\n800\n")
    program.write_text(f"#!/bin/sh\nhead -n 1 {numbers}\nsed -i 1d {numbers}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    leftovers = Leftovers(with_gpus=True)
    leftovers.clear()
    assert numbers.read_text() == "800\n"


def test_a_machine_without_gpus_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert on_host.gpu_memory_mib() == []
    Leftovers(with_gpus=True).clear()


@pytest.mark.parametrize(
    ("environment", "flags"),
    [
        ({"HF_TOKEN": "anything"}, []),
        ({"HUGGING_FACE_HUB_TOKEN": "x"}, []),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, []),
        ({"OPENAI_API_KEY": "x"}, []),
        ({"HARMLESS": TOKEN}, []),
        ({}, ["--hf-token", TOKEN]),
        ({}, [f"--hf-token={TOKEN}"]),
        ({}, ["--api-key=abc"]),
        ({}, [TOKEN]),
    ],
)
def test_a_setting_that_holds_a_secret_is_refused_without_saying_it(
    environment: dict[str, str], flags: list[str]
) -> None:
    with pytest.raises(ValueError, match="expected no secret, as the log keeps") as raised:
        check_settings("objective.engine", environment, flags)
    assert TOKEN not in str(raised.value)


def test_settings_that_only_sound_alike_are_none() -> None:
    names = (
        "TOKENIZERS_PARALLELISM",
        "MAX_TOKENS",
        "STAND_IN_TOKEN_S",
        "HF_TOKEN_PATH",
        "KEY_SIZE",
    )
    check_settings("objective.engine", dict.fromkeys(names, "1"), ["--max-tokens=5", "--trust"])


def test_a_secret_in_the_settings_of_an_engine_is_refused() -> None:
    said = line(f"+objective.engine.environment.HF_TOKEN={TOKEN}")
    assert "objective.engine.environment.HF_TOKEN: expected no secret" in said and TOKEN not in said


def test_the_token_reaches_a_server_over_ssh_by_no_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    launch = ssh().launch(
        [sys.executable, "-c", "import os; print(os.environ['HF_TOKEN'])"], {}, None
    )
    assert TOKEN not in " ".join(launch.command)
    monkeypatch.delenv("HF_TOKEN")  # the simulated node is this machine
    environment = {**os.environ, "HF_TOKEN": TOKEN}
    output = tmp_path / "output.txt"
    process = child.start(launch.command, folder=tmp_path, output=output, environment=environment)
    process.wait(60)
    child.end(process)
    assert TOKEN in output.read_text().splitlines()


def test_what_a_server_prints_of_the_token_never_reaches_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-token-of-mine")
    said = record(Failure("refused", f"bad token a-token-of-mine and {TOKEN}")).error
    assert said == "startup: refused: bad token *** and ***"


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        ("64", [], ["--cpus-per-task=64"]),
        (None, [], []),
        ("64", ["--cpus-per-task=8"], ["--cpus-per-task=8"]),
        ("64", ["-c", "8"], []),
    ],
)
def test_a_step_has_the_cores_of_its_job(
    given: str | None, options: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    if given is not None:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", given)
    words = Srun(program="srun", options=options, python="python3").carry(["end", "m"], None)
    assert [word for word in words if word.startswith("--cpus-per-task")] == expected


@pytest.mark.parametrize(
    ("model", "is_local", "expected"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", True, True),
        ("/models/llama", False, False),
        ("~/models/llama", False, False),
        ("llama", True, False),
        ("./a/b", True, False),
    ],
)
def test_a_name_of_the_hub_is_no_path(model: str, is_local: bool, expected: bool) -> None:
    assert is_hub_name(model, is_local) is expected


def hub(folder: Path, lines: str) -> dict[str, str]:
    """Write a substitute for huggingface_hub; return an environment in which it is found."""
    (folder / "huggingface_hub.py").write_text(f"def snapshot_download(name, **_):\n    {lines}\n")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("launcher", [Local(), None])
def test_a_model_is_downloaded_where_the_server_will_run(launcher: Any, tmp_path: Path) -> None:
    there = tmp_path / "there"
    environment = hub(tmp_path, f"open({str(there)!r}, 'w').write(name)")
    download(launcher or ssh(), sys.executable, "a/model", environment, "vLLM")
    assert there.read_text() == "a/model"


def test_a_download_that_fails_is_a_mistake_of_the_set_up(tmp_path: Path) -> None:
    environment = hub(tmp_path, f"raise OSError('401 gated, token {TOKEN}')")
    with pytest.raises(SetUpError, match="expected to download a/model on this machine") as raised:
        download(Local(), sys.executable, "a/model", environment, "vLLM")
    assert "401 gated" in str(raised.value) and TOKEN not in str(raised.value)


def test_a_server_that_is_offline_downloads_nothing(tmp_path: Path) -> None:
    environment = {**hub(tmp_path, "raise OSError"), "HF_HUB_OFFLINE": "1"}
    download(Local(), sys.executable, "a/model", environment, "vLLM")
    download(Local(), None, "a/model", {}, "vLLM")  # its Python is unknown


def test_the_download_comes_before_the_clock_and_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    found = objective("serves", max_late_s=10.0)
    monkeypatch.setattr(Engine, "prepare", lambda engine: done.append("prepared"))
    monkeypatch.setattr(Vllm, "prepare", Engine.prepare)
    entered = Server.__enter__

    def start(server: Server) -> Server:
        done.append("started")
        return entered(server)

    monkeypatch.setattr(Server, "__enter__", start)
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    found._reference = None
    found.evaluate(Trial(0, {"max_num_seqs": 4}))
    assert done == ["prepared", "started", "started"]  # the default, and the trial


def test_what_a_machine_has_is_said_over_ssh_too(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = (launcher.probe(["vllm"], "vllm", "1,2") for launcher in (Local(), ssh()))
    assert json.loads(json.dumps(here)) == there
    assert here["gpus"] == ["GPU 1: stand-in", "GPU 2: stand-in"]


def test_programs_that_are_sent_elsewhere_need_nothing_of_ours() -> None:
    for name in ("on_host", "machine", "tether", "container_guard"):
        path = Path(on_host.__file__).with_name(f"{name}.py")
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                f"import ast, sys; ast.parse(open({str(path)!r}).read())",
            ]
        )
        assert done.returncode == 0
        assert "from objectives" not in path.read_text()
