"""Runs and sweeps on real Ray clusters: several nodes on this machine, some of which are killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.running.events import Retried
from experiments.running.executors.choice import RayChoice
from experiments.running.history import History
from experiments.running.run import Run
from experiments.running.run_log import read
from experiments.sweeping import sweep
from objectives.objective import Objective, Resources
from objectives.trial import Evaluation, Trial
from odd import Odd
from processes import ROOT, finish
from test_executors import reasons, settings


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "expected it sooner"
        time.sleep(0.05)


def begun(folder: Path) -> list[int]:
    """Return the trials whose evaluation began, in order."""
    path = folder.with_suffix(".evaluated")
    return list(map(int, path.read_text().split())) if path.exists() else []


class Nodes:
    """A cluster of several nodes on this machine."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self.nodes: list[Any] = []

    @property
    def choice(self) -> RayChoice:
        return RayChoice(self.cluster.address)

    def add(self, n: int = 1, **resources: int) -> None:
        self.nodes += [self.cluster.add_node(**{"num_cpus": 1, **resources}) for _ in range(n)]
        self.cluster.wait_for_nodes()

    def kill(self) -> None:
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    pytest.importorskip("ray")
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    made = Nodes()
    yield made
    import ray

    ray.shutdown()
    made.cluster.shutdown()


def make(folder: Path, choice: RayChoice, kind: str = "good", **more: Any) -> History:
    run = Run(settings(folder, kind, **more), executor=choice)
    with run.open(folder) as log:
        run.execute(log)
        return log.history


@pytest.mark.slow
def test_a_node_that_is_killed_costs_one_resubmission_and_no_configuration(
    nodes: Nodes, tmp_path: Path
) -> None:
    nodes.add(2)
    folder = tmp_path / "run"

    def kill() -> None:
        until(lambda: len(begun(folder)) >= 4)
        nodes.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    history = make(folder, nodes.choice, workers=2, budget=8, seconds=2.0)
    killer.join()
    assert history.ended and sorted(history.evaluations) == list(range(8))
    assert all(evaluation.error is None for evaluation in history.evaluations.values())
    assert reasons(history) == ["the node of its worker was lost"]
    (lost,) = [event.id for event in history.events if isinstance(event, Retried)]
    assert sorted(begun(folder)) == sorted([*range(8), lost])
    assert sorted(path.name for path in folder.iterdir()) == ["log.jsonl"]


_DRIVER = """
import sys
from pathlib import Path
from experiments.running.executors.choice import RayChoice
from test_ray import make
make(Path(sys.argv[1]), RayChoice(sys.argv[2]), workers=2, budget=6, seconds=2.0)
"""


@pytest.mark.slow
def test_a_killed_driver_that_is_started_again_takes_in_what_was_finished(
    nodes: Nodes, tmp_path: Path
) -> None:
    nodes.add(2)
    folder, script = tmp_path / "run", tmp_path / "driver.py"
    script.write_text(_DRIVER)
    driver = subprocess.Popen(
        [sys.executable, str(script), str(folder), nodes.cluster.address], env=dict(os.environ)
    )
    until(lambda: len(begun(folder)) >= 4)
    driver.send_signal(signal.SIGSTOP)  # the workers finish the evaluations that they have begun
    left = set(begun(folder)) - read(folder / "log.jsonl").evaluations.keys()
    assert left
    until(lambda: all((folder / "answers" / f"{id}.json").exists() for id in left))
    driver.kill()
    driver.wait()
    history = make(folder, nodes.choice, workers=2, budget=6, seconds=2.0)
    assert history.ended and sorted(history.evaluations) == list(range(6))
    assert sorted(begun(folder)) == list(range(6))


class Visible(Objective):
    """Reports the GPUs that its process sees."""

    space = Odd.space
    resources = Resources(gpus=1)

    def evaluate(self, trial: Trial) -> Evaluation:
        time.sleep(1.0)
        return Evaluation(1.0, 1.0, {"gpu": float(os.environ["CUDA_VISIBLE_DEVICES"])})


@pytest.mark.slow
def test_every_worker_sees_a_gpu_of_its_own(nodes: Nodes, tmp_path: Path) -> None:
    nodes.add(num_cpus=4, num_gpus=2)
    handler = signal.getsignal(signal.SIGTERM)
    run = Run(settings(tmp_path / "run", "good", workers=2, budget=6), Visible(), nodes.choice)
    with run.open(tmp_path / "run") as log:
        run.execute(log)
        seen = [evaluation.metrics["gpu"] for evaluation in log.history.evaluations.values()]
    assert sorted(set(seen)) == [0.0, 1.0]
    assert signal.getsignal(signal.SIGTERM) is handler  # interrupts come between two steps
    three = Run(settings(tmp_path / "three", "good", workers=3), Visible(), nodes.choice)
    rule = "workers: expected at most 2, as each of them needs 1 CPU and 1 GPU"
    with pytest.raises(ValueError, match=rule):
        three.open(tmp_path / "three")


class Alone(Odd):
    """Needs a whole host, and reports which."""

    resources = Resources(whole_host=True)

    def evaluate(self, trial: Trial) -> Evaluation:
        import ray

        time.sleep(1.0)
        node = ray.get_runtime_context().get_node_id()
        return Evaluation(1.0, 1.0, {"node": float(int(node[:12], 16))})


@pytest.mark.slow
def test_an_objective_that_cannot_share_its_host_gets_a_node_for_each_worker(
    nodes: Nodes, tmp_path: Path
) -> None:
    nodes.add(2, num_cpus=4)
    objective = Alone(kind="good", path=os.devnull)
    run = Run(settings(tmp_path / "run", "good", workers=2, budget=6), objective, nodes.choice)
    with run.open(tmp_path / "run") as log:
        run.execute(log)
        seen = [evaluation.metrics["node"] for evaluation in log.history.evaluations.values()]
    assert len(set(seen)) == 2


@pytest.mark.slow
def test_a_crash_fails_after_two_attempts_and_a_time_limit_at_once(
    nodes: Nodes, tmp_path: Path
) -> None:
    nodes.add()
    history = make(tmp_path / "crash", nodes.choice, "exits")
    assert history.evaluations[1].error == "the evaluation ended its process 2 times"
    assert reasons(history) == ["the evaluation ended its process"]
    history = make(tmp_path / "late", nodes.choice, "hangs", evaluation_timeout_s=2.0)
    error = "evaluation_timeout_s: expected an answer within 2 s, got none"
    assert history.evaluations[1].error == error and list(history.evaluations) == [0, 1, 2]
    assert history.tests()[0].metrics == {"tested": 2.0}


@pytest.mark.slow
def test_a_sweep_spreads_its_runs_over_ray_and_the_ledger_says_so(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    words = ["experiment=smoke", "optimizers=[random,soo]", "objectives=[branin]", "seeds=0,1"]
    words += [f"out={tmp_path}", "executor=ray", "runs=2"]
    assert sweep.main(words) == 0
    ledger = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    done = [event for event in ledger if event["event"] == "done"]
    assert len({event["identity"] for event in done}) == 4
    assert all(event["evaluations"] == 10 for event in done)
    again = sweep.main([*words[:-2], "runs=2"])  # the runs are the same as those of any other sweep
    assert again == 0
    events = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert len([event for event in events if event["event"] == "done"]) == 4


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "executor.address: expected a running Ray cluster, got no answer at 127"),
        ("nowhere", "executor.address: expected auto or host:port, got 'nowhere'"),
        ("127.0.0.1:99999", "executor.address: expected a running Ray cluster"),
    ],
)
def test_an_address_without_a_cluster_is_one_line(
    address: str, message: str, tmp_path: Path
) -> None:
    run = Run(settings(tmp_path / "run", "good"), executor=RayChoice(address))
    with pytest.raises(ValueError, match=message) as raised:
        run.open(tmp_path / "run")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"address": 3},
            "executor.address: expected null or text such as auto or host:port",
        ),
        ({"cpus": 0}, "executor.cpus: expected null or an integer of at least 1, got 0"),
        ({"cpus": 2, "address": "a:1"}, "executor.cpus: expected null with executor.address"),
    ],
)
def test_settings_of_ray_are_checked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RayChoice(**given)


@pytest.mark.slow
def test_the_command_line_runs_on_a_local_cluster_and_refuses_too_many_workers(
    tmp_path: Path,
) -> None:
    words = ("executor=ray", "executor.cpus=2", "objective=branin", "optimizer=random", "budget=4")
    done = finish(*words, "workers=2", f"out={tmp_path / 'a'}")
    assert done.returncode == 0, done.stderr
    assert len(read(tmp_path / "a" / "log.jsonl").evaluations) == 4
    many = finish(*words, "workers=3", f"out={tmp_path / 'b'}")
    assert many.returncode == 2
    assert many.stderr.startswith("workers: expected at most 2, as each of them needs 1 CPU")
    assert many.stderr.count("\n") == 1
