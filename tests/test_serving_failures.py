"""Every grade of a serving failure is provoked, and no process is left behind."""

import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from objectives import heartbeat
from objectives.objective import HostFault
from objectives.serving.bench import Bench
from objectives.serving.grades import Invalid
from objectives.serving.host.host import CpuWatch, free_port, is_free
from objectives.serving.objective import Serving
from objectives.serving.reference import reference
from objectives.trial import Evaluation
from stand_in import SERVER, StandIn, serving, trial

ROOT = Path(__file__).parent.parent


def engine(objective: Serving) -> StandIn:
    found = objective._engine
    assert isinstance(found, StandIn)
    return found


def leftovers() -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(SERVER) in (p.info["cmdline"] or [])]


def of_ports(ports: list[int]) -> list[psutil.Process]:
    """Return the processes of stand-ins that were started on some ports."""
    return [p for p in leftovers() if p.info["cmdline"][-1] in map(str, ports)]


@contextmanager
def foreign_work() -> Iterator[None]:
    """Run a busy process that is no descendant of ours: the shell that started it is gone."""
    busy = f"{sys.executable} -c 'while True: pass' >/dev/null 2>&1 & echo $!"
    shell = subprocess.run(["sh", "-c", busy], stdout=subprocess.PIPE, text=True, check=True)
    process = psutil.Process(int(shell.stdout))
    try:
        yield
    finally:
        process.kill()


def evaluated(objective: Serving, behaviour: str, **parameters: int) -> Evaluation:
    """Evaluate a behaviour, and expect that no process is left behind."""
    evaluation = objective.evaluate(trial(behaviour, **parameters))
    ports = engine(objective).ports
    assert of_ports(ports) == []
    assert all(is_free("127.0.0.1", port) for port in ports)
    return evaluation


def grade(objective: Serving, evaluation: Evaluation, status: str, stage: str) -> float:
    """Return the grade of a failure after checking its record."""
    assert evaluation.error is not None and evaluation.value is not None
    assert evaluation.error.startswith(f"{stage}: {status}: ")
    assert (evaluation.items["status"], evaluation.items["stage"]) == (status, stage)
    return evaluation.value - objective._score.ceiling


def test_a_served_load_succeeds_with_all_metrics() -> None:
    evaluation = evaluated(serving(), "serves")
    assert evaluation.error is None and evaluation.value is not None and evaluation.value < 0
    names = (
        "ttft_p50_s ttft_p90_s tpot_p90_s itl_p50_s e2e_p90_s output_tokens_per_s requests_per_s "
        "goodput_per_s failed_share memory_bytes startup_s foreign_cpu_cores"
    ).split()
    assert [name for name in names if name not in evaluation.metrics] == []
    assert evaluation.metrics["failed_share"] == 0
    assert evaluation.metrics["memory_bytes"] > 1e6


def test_a_percentile_that_only_the_score_asks_for_is_measured() -> None:
    objective = serving(score="slo", base="e2e_p75_s", slo={})
    objective._reference = {"e2e_p75_s": 1.0}
    evaluation = evaluated(objective, "serves")
    assert evaluation.value == pytest.approx(math.log(evaluation.metrics["e2e_p75_s"]))


def test_refused_flags_grade_three_and_a_half() -> None:
    objective = serving()
    evaluation = evaluated(objective, "refuses")
    assert grade(objective, evaluation, "refused", "startup") == 3.5
    assert "unknown flag" in str(evaluation.error)


def test_a_start_up_that_runs_out_of_memory_grades_three() -> None:
    objective = serving(memory_limit_gib=1.0)  # the simulated server allocates eight
    assert grade(objective, evaluated(objective, "allocates"), "out_of_memory", "startup") == 3


def test_a_start_up_that_hangs_grades_three() -> None:
    objective = serving(startup_timeout_s=0.5)
    assert grade(objective, evaluated(objective, "hangs"), "timed_out", "startup") == 3


def test_a_long_start_up_says_what_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(heartbeat, "LONG_WAIT_S", 0.1)
    objective = serving(startup_timeout_s=0.5)
    evaluated(objective, "hangs")
    assert "still waiting for the server to start, after " in capsys.readouterr().err


def test_a_long_measurement_of_the_default_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    monkeypatch.setattr(heartbeat, "LONG_WAIT_S", 0.05)
    said: list[str] = []

    def measured() -> dict[str, float]:
        deadline = time.monotonic() + 20
        while "still" not in "".join(said) and time.monotonic() < deadline:
            said.append(capsys.readouterr().err)
        return {"e2e_p90_s": 1.0}

    reference({}, 1, measured)
    assert "still measuring the default configuration, 1 of 1, after " in "".join(said)


def test_a_server_that_is_killed_in_mid_load_grades_two_and_a_half() -> None:
    objective = serving()
    evaluation = evaluated(objective, "dies")
    assert grade(objective, evaluation, "died", "load") == 2.5
    assert "SIGKILL" in str(evaluation.error)


def test_a_load_that_breaks_off_grades_by_what_is_missing() -> None:
    objective = serving(load_timeout_s=3)
    evaluation = evaluated(objective, "stalls")
    # Three of ten requests were answered before both slots stalled: 1 + (1 - 3/10).
    assert grade(objective, evaluation, "broke_off", "load") == pytest.approx(1.7)
    assert evaluation.metrics["failed_share"] == 0


def test_more_than_half_of_the_requests_failing_grades_a_half() -> None:
    objective = serving()
    evaluation = evaluated(objective, "fails_most")
    assert grade(objective, evaluation, "requests_failed", "load") == 0.5
    assert evaluation.metrics["failed_share"] == pytest.approx(0.8)  # all but the 4th and the 8th


def test_an_answer_that_is_too_short_is_a_failed_request() -> None:
    objective = serving()
    evaluation = evaluated(objective, "short")
    assert grade(objective, evaluation, "requests_failed", "load") == 0.5
    assert "incomplete: 3 of 4 tokens" in str(evaluation.error)


def test_a_broken_hard_limit_grades_a_half() -> None:
    slo = {"limit": 1e-6, "weight": 1.0, "steepness": 0.3, "fail_above": 1.0}
    objective = serving(slo={"ttft_p90_s": slo})
    evaluation = evaluated(objective, "serves")
    assert grade(objective, evaluation, "slo", "score") == 0.5
    assert "failed" in evaluation.items  # the rows are kept


def test_what_is_known_to_be_infeasible_is_never_launched_and_costs_nothing() -> None:
    objective = serving(constraints=["size * half <= 16"])
    evaluation = evaluated(objective, "serves", size=8, half=3)
    assert grade(objective, evaluation, "infeasible", "check") == 4
    assert evaluation.cost == 0 and engine(objective).ports == []


def test_a_port_that_is_taken_is_the_hosts_fault_and_never_scored() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        objective = serving(port=other.getsockname()[1])
        with pytest.raises(HostFault, match="^host: invalid: port "):
            objective.evaluate(trial("serves"))
    assert engine(objective).ports == []


def test_a_port_taken_between_check_and_start_is_tried_again_on_others() -> None:
    objective = serving()
    with pytest.raises(HostFault, match="address already in use"):
        evaluated(objective, "finds_port_taken")
    assert len(engine(objective).ports) == 3  # once and two repeats


@pytest.mark.parametrize("n_invalid", [1, 2, 3])
def test_an_invalid_evaluation_is_repeated_at_most_twice_and_never_scored(
    n_invalid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def run(bench: Bench, config: object, plan: object) -> object:
        calls.append(1)
        if len(calls) <= n_invalid:
            raise Invalid("CPU of other processes")
        return {"goodput_per_s": 1.0}, {}

    monkeypatch.setattr(Bench, "run", run)
    try:
        value = serving().evaluate(trial("serves")).value
    except HostFault as fault:
        value = None
        assert str(fault) == "host: invalid: CPU of other processes"
    assert len(calls) == min(n_invalid + 1, 3)
    assert value == (None if n_invalid == 3 else -1)


def test_a_failure_beside_foreign_cpu_is_not_the_configurations() -> None:
    strict = {"max_foreign_cores": 0.01, "repeats": 0}
    with foreign_work():
        with pytest.raises(HostFault, match="^host: invalid: CPU of other processes"):
            serving(**strict, startup_timeout_s=0.5).evaluate(trial("hangs"))
        refused = serving(**strict).evaluate(trial("refuses"))
    assert refused.items["status"] == "refused"  # as it would anywhere


def test_a_late_client_makes_an_evaluation_invalid() -> None:
    with pytest.raises(HostFault, match="^host: invalid: client: expected to be at most"):
        serving(max_late_s=1e-9, repeats=0).evaluate(trial("serves"))


def test_cpu_of_other_processes_is_seen_and_our_own_is_not_counted() -> None:
    with foreign_work():
        watch, started = CpuWatch(), time.monotonic()
        own = time.process_time()
        while time.monotonic() < started + 0.5:
            pass
        foreign = watch.foreign_cores()
        own_cores = (time.process_time() - own) / (time.monotonic() - started)
    # The CPU use is at most all cores; 0.2 allows for counts in hundredths of a second.
    assert 0.1 < foreign < psutil.cpu_count() - own_cores + 0.2


def test_what_killed_descendants_used_is_not_taken_for_other_processes() -> None:
    # A parent that only waits and a busy child, like a server with workers.
    busy = "import time; t = time.monotonic()\nwhile time.monotonic() < t + 60: pass"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    watch = CpuWatch()
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        time.sleep(0)
    watch.stop()
    during = watch.foreign_cores()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert watch.foreign_cores() == during


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_a_run_is_ended_in_mid_load(
    signal_number: int, tmp_path: Path
) -> None:
    port = free_port("127.0.0.1")
    program = f"""
import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from stand_in import serving, trial
serving(port={port}, load_timeout_s=600).evaluate(trial("stalls"))
"""
    run = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        for _ in _until_served(port):
            assert run.poll() is None
        assert of_ports([port])
    finally:
        run.send_signal(signal_number)
        run.wait(30)
    limit = time.monotonic() + 30
    while of_ports([port]) or not is_free("127.0.0.1", port):
        assert time.monotonic() < limit, "something of the server is left"
        os.sched_yield()


def _until_served(port: int) -> Iterator[None]:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        yield
    raise AssertionError("the stand-in did not start")
