"""Servers here, over SSH and as a job step, with a simulated engine and substitute ssh and srun."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from node import search_path, serving, stand_in_engine
from objectives import child
from objectives.objective import HostFault
from objectives.serving.engine import Carried, Demand
from objectives.serving.engines.sglang import Sglang
from objectives.serving.engines.vllm import Vllm
from objectives.serving.host import on_host
from objectives.serving.host.container import Container
from objectives.serving.host.host import free_port
from objectives.serving.host.launcher import Launcher, Local, Srun, Ssh
from objectives.serving.objective import Serving
from objectives.trial import Trial

WAIT_S = 60.0


@pytest.fixture(autouse=True)
def _on_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", search_path())
    monkeypatch.setenv("SLURM_JOB_ID", "7")


def ssh() -> Ssh:
    return Ssh(host="node", program="ssh", options=[], python=sys.executable)


def launchers() -> dict[str, Any]:
    return {
        "local": Local,
        "ssh": ssh,
        "srun": lambda: Srun(program="srun", options=["--gres=gpu:8"], python=sys.executable),
    }


def objective(launcher: Launcher, behaviour: str, kind: Any = Vllm, **changes: Any) -> Serving:
    size = "max_num_seqs" if kind is Vllm else "max_running_requests"
    space = {size: {"type": "int", "lower": 1, "upper": 9}}
    engine = stand_in_engine(kind, launcher, behaviour)
    return serving(engine, space, {size: 4}, **changes)


def evaluate(found: Serving) -> Any:
    return found.evaluate(Trial(0, found.default))


def until(holds: Any) -> None:
    limit = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < limit, "waited in vain"
        os.sched_yield()


@pytest.mark.parametrize("launcher", ["local", "ssh", "srun"])
def test_a_server_is_served_measured_and_ended_wherever_it_runs(launcher: str) -> None:
    evaluation = evaluate(objective(launchers()[launcher](), "serves", max_late_s=10.0))
    assert evaluation.error is None
    assert evaluation.metrics["memory_bytes"] > 1e6  # of the server and not of the relaying process
    # Ten requests of the load; the warm-up request came before.
    assert evaluation.metrics["server_prompt_tokens"] == 10


@pytest.mark.parametrize("kind", [Vllm, Sglang])
def test_the_servers_own_gauges_are_sampled_during_the_load(kind: Any) -> None:
    # 10 requests, 2 at a time, 4 tokens of 0.1 s: 2 s, sampled every half second.
    found = objective(Local(), "serves", kind, max_late_s=10.0, load_timeout_s=60)
    engine: Any = found._engine
    engine._environment["STAND_IN_TOKEN_S"] = "0.1"
    metrics = evaluate(found).metrics
    assert metrics["server_kv_cache_usage_max"] == metrics["server_kv_cache_usage_mean"] == 0.25


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("refuses", "refused"), ("dies", "died")],
)
def test_a_failure_over_ssh_grades_as_it_does_here(behaviour: str, status: str) -> None:
    evaluation = evaluate(objective(ssh(), behaviour, repeats=0, max_late_s=10.0))
    assert evaluation.items["status"] == status


def test_a_port_that_is_taken_over_ssh_is_the_hosts_fault() -> None:
    with pytest.raises(HostFault, match="^host: invalid: port "):
        evaluate(objective(ssh(), "finds_port_taken", repeats=0, max_late_s=10.0))


def test_why_a_server_over_ssh_refused_is_said_without_what_ssh_says_of_the_wait() -> None:
    # The substitute ssh prints this line for each health check before the server serves.
    error = str(evaluate(objective(ssh(), "refuses", repeats=0)).error)
    assert "unknown flag" in error and "open failed" not in error


def test_a_machine_that_is_not_reached_is_not_the_configurations_fault() -> None:
    launcher = ssh()
    found = objective(launcher, "serves", repeats=0)
    launcher._host = "unreachable"
    with pytest.raises(HostFault, match="^host: invalid: the server's machine"):
        evaluate(found)


def carried(command: list[str], folder: Path) -> tuple["subprocess.Popen[bytes]", Carried, Path]:
    """Start a command over ssh and wait until it runs."""
    launch = ssh().launch(
        command, {"A": """it's "quoted" $HOME; \\ and so on"""}, (free_port("127.0.0.1"), 2)
    )
    assert launch.carried is not None
    output = folder / "output.txt"
    process = child.start(launch.command, folder=folder, output=output, environment=os.environ)
    until(lambda: b"ready" in output.read_bytes())
    return process, launch.carried, output


STUBBORN = (
    "import os,signal,sys,time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork(): os._exit(0)\n"  # an orphan in a session of its own ...
    "    import ctypes; c = ctypes.CDLL(None); e = ctypes.c_void_p.in_dll(c, 'environ')\n"
    "    first = ctypes.cast(e.value, ctypes.POINTER(ctypes.c_void_p))[0]\n"
    "    ctypes.memset(first, 0, 64)\n"  # ... whose environment is overwritten, as titles do
    "print(f'ready {os.getpid()} ' + os.environ['A'], flush=True)\n"  # in one write
    "time.sleep(600)\n"
)


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_what_left_its_session_and_hides_its_mark_is_ended_there_too(
    how: str, tmp_path: Path
) -> None:
    process, there, output = carried([sys.executable, "-c", STUBBORN], tmp_path)
    until(lambda: output.read_text().count("ready") == 2)
    pids = [int(pid) for pid in re.findall(r"ready (\d+)", output.read_text())]
    assert [pid for pid in pids if psutil.pid_exists(pid)] == pids
    if how == "closed":
        assert process.stdin is not None
        process.stdin.close()
        process.wait(WAIT_S)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    child.end(process)
    assert subprocess.run(there.end, stdin=subprocess.DEVNULL).returncode == 0


def test_words_reach_the_other_machine_as_they_are(tmp_path: Path) -> None:
    process, _, output = carried([sys.executable, "-c", STUBBORN], tmp_path)
    child.end(process)
    assert """it's "quoted" $HOME; \\ and so on""" in output.read_text()


def test_a_silent_connection_ends_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_host, "SILENCE_S", 0.3)
    reading, writing = os.pipe()  # no process writes or closes it, as with a broken connection
    kept = os.dup(0)
    os.dup2(reading, 0)
    try:
        assert on_host.run("a-mark-of-this-test", ["sleep", "600"]) == 1
    finally:
        os.dup2(kept, 0)
        for number in (kept, reading, writing):
            os.close(number)
    assert on_host.processes("a-mark-of-this-test") == []


def test_a_step_of_a_job_is_on_this_node_with_the_options_given() -> None:
    words = Srun(program="srun", options=["--gres=gpu:8"], python="python3").carry(
        ["end", "m"], None
    )
    assert words[1:4] == ["--overlap", "--nodes=1", "--ntasks=1"]
    assert "--gres=gpu:8" in words and words[-4:-1] == ["python3", "-c", words[-2]]


def test_an_ssh_command_asks_for_no_password_and_leads_one_port_to_the_servers() -> None:
    words = ssh().carry(["end", "m"], (5000, 6000))
    assert words[1:4] == ["-T", "-o", "BatchMode=yes"]
    cut = words.index("--")
    assert words[cut - 2 : cut] == ["-L", "127.0.0.1:5000:127.0.0.1:6000"]
    assert words[cut + 1] == "node"


def test_an_engine_behind_ssh_listens_where_the_connection_leads() -> None:
    engine = stand_in_engine(Vllm, ssh(), "serves")
    launch = engine.launch({"max_num_seqs": 4}, 5000, Demand(10, 1))
    cut = launch.command.index("--")
    there = launch.command[cut - 1].split(":")[-1]
    assert there != "5000" and launch.command[cut - 1].startswith("127.0.0.1:5000:")


def test_the_home_folder_is_found_wherever_a_program_lies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ssh", "srun", "docker"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    there = Ssh(host="node", program="~/ssh", options=[], python="~/my env/bin/python")
    command = there.carry([], None)
    assert command[0] == str(tmp_path / "ssh")
    assert command[-1].startswith("~/'my env/bin/python' -c ")  # the remote shell expands `~`
    step = Srun(program="~/srun", options=[], python="~/bin/python").carry([], None)
    assert step[0] == str(tmp_path / "srun") and str(tmp_path / "bin/python") in step
    mounts = ["-v", "~/models:/models", "--volume=~/data:/data", "--gpus=all"]
    container = Container(program="~/docker", image="vllm", options=mounts, python="python3")
    words = container.launch(["vllm"], {}, None).command
    assert f"{tmp_path}/models:/models" in words and f"--volume={tmp_path}/data:/data" in words


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo Welcome", "another answer, 'Welcome'"), ("sleep 9", "no answer within 0.1 s")],
)
def test_a_machine_that_gives_no_answer_is_named_in_one_line(
    script: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setattr("objectives.serving.host.launcher._ASK_S", 0.1 if "sleep" in script else 9)
    there = Ssh(host="node", program=str(tmp_path / "ssh"), options=[], python="python3")
    with pytest.raises(ValueError, match=f"expected to reach node, got: {reason}"):
        there.probe(["vllm"], "vllm", None)
