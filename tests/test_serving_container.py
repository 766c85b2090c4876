"""Servers in a container of docker, podman or apptainer, with substitute programs on the PATH."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from node import search_path, serving, stand_in_engine
from objectives.objective import HostFault
from objectives.serving.engines.vllm import Vllm
from objectives.serving.host.container import Container
from objectives.serving.host.host import free_port
from objectives.serving.objective import Serving
from objectives.trial import Trial
from processes import ROOT
from stand_in import SERVER

WAIT_S = 60.0


@pytest.fixture(autouse=True)
def _on_a_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", search_path())
    monkeypatch.setenv("STAND_IN_DOCKER", str(tmp_path))


def container(program: str = "docker", image: str = "an/image:1", **changes: Any) -> Container:
    settings = {"options": ["--gpus=all", "-v", "/a:/b"], "python": "python3", **changes}
    return Container(program=program, image=image, **settings)


def objective(launcher: Container, behaviour: str = "serves", **changes: Any) -> Serving:
    space = {"max_num_seqs": {"type": "int", "lower": 1, "upper": 9}}
    engine = stand_in_engine(Vllm, launcher, behaviour, program=["vllm", "serve"])
    return serving(engine, space, {"max_num_seqs": 4}, max_late_s=10.0, **changes)


def evaluate(found: Serving) -> Any:
    return found.evaluate(Trial(0, {"max_num_seqs": 4}))


def calls(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


def running(port: int) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    words = [str(SERVER), str(port)]
    return [p for p in found if all(word in (p.info["cmdline"] or []) for word in words)]


@pytest.mark.parametrize("program", ["docker", "podman"])
def test_a_server_in_a_container_is_measured_stopped_and_removed(
    program: str, tmp_path: Path
) -> None:
    port = free_port("127.0.0.1")
    evaluation = evaluate(objective(container(program), port=port))
    assert evaluation.error is None
    assert evaluation.metrics["memory_bytes"] > 1e6  # of the server, not of docker's client
    assert running(port) == []
    tasks = [call[0] for call in calls(tmp_path)]
    assert tasks.index("run") < tasks.index("stop") < tasks.index("rm")
    assert [path.name for path in tmp_path.iterdir()] == ["calls"]


def test_a_container_runs_the_program_in_the_image_on_the_hosts_network(tmp_path: Path) -> None:
    evaluate(objective(container()))
    words = next(call for call in calls(tmp_path) if call[0] == "run")
    assert words[1] == "--rm" and words[2].startswith("--name=tuneoff-")
    assert words[3] == "--network=host"
    place = words.index("an/image:1")
    assert words[place - 4 : place] == ["--gpus=all", "-v", "/a:/b", "--entrypoint=vllm"]
    assert words[place + 1 : place + 3] == ["serve", "--model=a-model"]


@pytest.mark.parametrize(
    ("behaviour", "status"), [("refuses", "refused"), ("dies", "died"), ("hangs", "timed_out")]
)
def test_a_failure_in_a_container_grades_as_it_does_here(behaviour: str, status: str) -> None:
    port = free_port("127.0.0.1")
    changes = {"startup_timeout_s": 3.0} if behaviour == "hangs" else {}
    evaluation = evaluate(objective(container(), behaviour, port=port, **changes))
    assert evaluation.items["status"] == status
    assert running(port) == []


def test_a_container_that_docker_cannot_start_is_the_hosts_fault() -> None:
    with pytest.raises(HostFault, match="not reached: docker: Error response from daemon"):
        evaluate(objective(container(image="broken"), repeats=0))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_container_ends_with_the_run_however_that_ends(number: int, tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    program = f"""
import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from test_serving_container import container, evaluate, objective
evaluate(objective(container(), "stalls", port={port}, load_timeout_s=600))
"""
    run = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + WAIT_S
        while not running(port):
            assert time.monotonic() < limit and run.poll() is None, "the stand-in did not start"
            os.sched_yield()
    finally:
        run.send_signal(number)
        run.wait(30)
    limit = time.monotonic() + WAIT_S
    while running(port) or [path.name for path in tmp_path.iterdir()] != ["calls"]:
        assert time.monotonic() < limit, "the container is left"
        os.sched_yield()


def test_a_container_of_apptainer_is_a_process_group_of_ours(tmp_path: Path) -> None:
    image, port = tmp_path / "image.sif", free_port("127.0.0.1")
    image.touch()
    launcher = container("apptainer", str(image), options=None)
    found = objective(launcher, port=port)
    assert evaluate(found).error is None
    assert running(port) == []
    words = launcher.launch(["vllm", "serve"], {}, (1, 1)).command
    assert words[-5:] == ["exec", "--nv", str(image), "vllm", "serve"]


def test_the_token_reaches_the_container_by_its_name_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = "hf_" + "x" * 30
    monkeypatch.setenv("HF_TOKEN", token)
    launch = container().launch(["vllm"], {"A": "b"}, (1, 1))
    assert token not in " ".join(launch.command)
    place = launch.command.index("HF_TOKEN")
    assert launch.command[place - 1] == "-e"
    assert launch.command[place + 1 : place + 3] == ["-e", "A=b"]
    # docker passes the variable's value from our environment to the container.
    evaluate(objective(container(), "stalls", load_timeout_s=1.0))
    assert token not in (tmp_path / "calls").read_text()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"program": "lxc"}, "expected one of docker, podman, apptainer, singularity, got 'lxc'"),
        ({"program": "/no/docker"}, "expected a program, got /no/docker, which is not on the PATH"),
        ({"image": "-v"}, "image: expected the name of an image, got '-v'"),
    ],
)
def test_a_container_that_cannot_be_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        container(**changes)


@pytest.mark.parametrize(
    ("program", "image", "expected"),
    [
        ("docker", "absent", "got absent: Error: No such image: absent; run: docker pull absent"),
        (
            "apptainer",
            "no.sif",
            "expected an image on this machine, got no.sif; run: apptainer pull",
        ),
    ],
)
def test_an_image_that_is_not_here_says_how_to_get_it(
    program: str, image: str, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        objective(container(program, image))
