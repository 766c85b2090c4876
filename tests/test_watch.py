"""The live view: a journal in step with growing logs, and the page that shows it."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from browser import browser
from experiments import command
from experiments.running.run_log import RunLog
from experiments.watching.dashboard import Dashboard
from experiments.watching.journal import Journal
from made_headers import append, goal, header_event
from processes import ROOT

SPACE = {"x": {"type": "float", "lower": 0.0, "upper": 1.0, "log": False}}


def trial(id: int, fidelity: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"id": id, "config": {"x": id / 10}, "fidelity": fidelity, **more}


def ask(*trials: dict[str, Any]) -> dict[str, Any]:
    """Return the event of an ask at the time 10."""
    event = {"event": "ask", "n": len(trials), "trials": list(trials), "ask_s": 0.1}
    return {**event, "tell_s": {}, "time": 10.0}


def answer(id: int, value: float | None, **more: Any) -> dict[str, Any]:
    """Return the event of an answer at the time 20, after 2 s."""
    event = {"event": "evaluation", "id": id, "value": value, "cost": 2.0, "metrics": {}}
    return {**event, "error": None if value is not None else "it failed", "time": 20.0, **more}


EVENTS = [
    header_event(space=SPACE, fidelities=[0.25, 1.0], budget=3.5),
    ask(trial(0, 0.25), trial(1), trial(2)),
    answer(0, 5.0),
    answer(1, 99.0, error="it failed"),
    ask(trial(3, 1.0, resumes=0), trial(4)),
    {"event": "retried", "id": 2, "reason": "the node was lost", "time": 15.0},
    {"event": "refused", "ids": [4]},
    answer(2, 4.0),
    answer(3, 3.0),
    {"event": "end", "budget": 3.5, "spent": 3.0, "tell_s": {}},
    {"event": "extend", "budget": 5.0, "time": 30.0},
    answer(4, 2.0),
]
"""A run of two fidelities with a failure, a repetition, a resumed trial and a refused one."""


def write(folder: Path, events: list[dict[str, Any]]) -> None:
    with RunLog(folder) as log:
        for event in events:
            append(log, event)


def trials(journal: Journal, study: int = 0) -> list[FrozenTrial]:
    """Return the trials of a study, as another process reads them from the journal's file."""
    storage = JournalStorage(JournalFileBackend(str(journal.path)))
    found: list[FrozenTrial] = storage.get_all_trials(storage.get_all_studies()[study]._study_id)
    return found


def shown(journal: Journal) -> list[tuple[Any, ...]]:
    """Return what a journal shows of its only run, without the times of live answers."""
    return [
        (t.number, t.state, t.values, t.params, t.intermediate_values, t.constraints)
        + (dict(sorted(t.user_attrs.items())),)
        for t in trials(journal)
    ]


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_journal_that_followed_a_log_shows_what_a_new_one_shows(
    step: int, tmp_path: Path
) -> None:
    followed = Journal([tmp_path / "runs"], tmp_path / "followed")
    for n in range(0, len(EVENTS), step):
        write(tmp_path / "runs" / "a", EVENTS[n : n + step])
        followed.step()
        fresh = Journal([tmp_path / "runs"], tmp_path / f"fresh{n}")
        fresh.step()
        old, new = shown(followed), shown(fresh)
        for each in old:  # an attribute cannot be removed from a trial
            each[-1].pop("refused", None)
        for each in new:
            each[-1].pop("refused", None)
        assert old == new


def test_partial_fidelities_failures_and_repetitions_are_seen(tmp_path: Path) -> None:
    write(tmp_path / "runs", EVENTS[:9])
    journal = Journal([tmp_path / "runs"], tmp_path / "journal")
    journal.step()
    partial, failed, repeated, resumed, refused = trials(journal)
    assert (partial.state, partial.intermediate_values) == (TrialState.PRUNED, {250: 5.0})
    assert (failed.state, failed.user_attrs["error"]) == (TrialState.FAIL, "it failed")
    assert failed.user_attrs["penalty"] == 99.0
    assert repeated.user_attrs["retries"] == 1
    assert repeated.user_attrs["retried_because"] == "the node was lost"
    assert (resumed.values, resumed.intermediate_values) == ([3.0], {250: 5.0, 1000: 3.0})
    assert resumed.duration is not None and resumed.duration.total_seconds() == 2.0
    assert (refused.state, "refused" in refused.user_attrs) == (TrialState.WAITING, True)


def test_a_pending_trial_is_running_while_a_process_holds_the_log(tmp_path: Path) -> None:
    journal = Journal([tmp_path / "runs"], tmp_path / "journal")
    with RunLog(tmp_path / "runs") as log:
        for event in EVENTS[:3]:
            append(log, event)
        journal.step()
        assert [t.state.name for t in trials(journal)] == ["PRUNED", "RUNNING", "RUNNING"]
    journal.step()
    assert [t.state.name for t in trials(journal)] == ["PRUNED", "WAITING", "WAITING"]


def test_a_metric_is_shown_with_its_own_direction_and_several_goals_as_several(
    tmp_path: Path,
) -> None:
    accuracy = goal("accuracy", minimise=False)
    both = {**accuracy, **goal("seconds", minimise=True)}
    one = [answer(0, 0.25, metrics={"accuracy": 0.75})]
    two = [answer(0, None, error=None, metrics={"accuracy": 0.75, "seconds": 3.0})]
    for name, goals, answers in (("one", accuracy, one), ("two", both, two)):
        header = header_event(space=SPACE, goals=goals)
        write(tmp_path / "runs" / name, [header, ask(trial(0)), *answers])
    journal = Journal([tmp_path / "runs"], tmp_path / "journal")
    journal.step()
    found = {
        tuple(direction.name for direction in study.directions): trials(journal, i)[0].values
        for i, study in enumerate(journal.storage.get_all_studies())
    }
    assert found == {("MAXIMIZE",): [0.75], ("MAXIMIZE", "MINIMIZE"): [0.75, 3.0]}


def test_the_best_trial_keeps_the_limits(tmp_path: Path) -> None:
    header = header_event(space=SPACE)
    header["limits"] = {"gib": {"bound": 8.0, "at_most": True, "unit": "GiB"}}
    answers = [answer(0, 1.0, metrics={"gib": 9.0}), answer(1, 2.0, metrics={"gib": 7.0})]
    write(tmp_path / "runs", [header, ask(trial(0), trial(1)), *answers])
    journal = Journal([tmp_path / "runs"], tmp_path / "journal")
    journal.step()
    assert journal.storage.get_best_trial(0).values == [2.0]


def test_logs_that_are_new_replaced_damaged_or_gone_are_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    journal = Journal([runs], tmp_path / "journal")
    journal.step()
    assert journal.n_runs == 0
    write(runs / "deep" / "a", EVENTS[:5])
    write(runs / "b", EVENTS[:5])
    (runs / "b" / "log.jsonl").write_bytes((runs / "b" / "log.jsonl").read_bytes() + b"{}\n")
    journal.step()
    journal.step()
    assert capsys.readouterr().err.count("line 6: expected an event of log format") == 1
    assert journal.n_runs == 1
    (runs / "deep" / "a" / "log.jsonl").unlink()
    write(runs / "deep" / "a", EVENTS[:2])
    journal.step()
    assert len(trials(journal)) == 3
    (runs / "deep" / "a" / "log.jsonl").unlink()
    journal.step()
    assert journal.n_runs == 0


def test_a_run_without_a_stated_space_is_shown_in_the_space_that_it_used(tmp_path: Path) -> None:
    journal = Journal([tmp_path / "runs"], tmp_path / "journal")
    header = header_event(space=None)
    for n, events in enumerate(([header, ask(trial(0))], [ask(trial(7))])):
        write(tmp_path / "runs", events)
        journal.step()
        assert len(trials(journal)) == n + 1


def requested(url: str, method: str = "GET", host: str | None = None) -> Any:
    request = urllib.request.Request(url, method=method, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=30) as answered:
        return json.loads(answered.read())


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Dashboard]:
    """Serve the run above."""
    write(tmp_path / "runs", EVENTS)
    journal = Journal([tmp_path / "runs"], tmp_path / "journal")
    journal.step()
    page = Dashboard(journal.storage, None)
    yield page
    page.close()


def test_the_page_shows_the_trials(page: Dashboard) -> None:
    study = requested(f"{page.url}api/studies/0")
    assert [t["state"] for t in study["trials"]] == ["Pruned", "Fail", "Complete"] + 2 * [
        "Complete"
    ]
    assert study["best_trials"][0]["number"] == 4
    assert study["has_intermediate_values"]


@pytest.mark.parametrize(
    ("method", "host", "status"),
    [("DELETE", None, 405), ("POST", None, 405), ("GET", "evil.example", 403)],
)
def test_the_page_answers_this_machine_only_and_changes_nothing(
    page: Dashboard, method: str, host: str | None, status: int
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        requested(f"{page.url}api/studies/0", method, host)
    assert refused.value.code == status
    assert page.url.startswith("http://127.0.0.1:")


def test_a_port_that_is_taken_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert command.main(["watch", str(tmp_path), f"port={port}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"port: expected a free port of this machine, got {port} (Address")


def test_a_missing_dashboard_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    monkeypatch.delitem(sys.modules, "experiments.watching.dashboard")
    assert command.main(["watch", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("optuna_dashboard: expected the extra 'watch' to be installed")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "FOLDER: expected at least one folder"),
        (["nowhere"], "FOLDER: expected a folder of runs, got nowhere"),
        (["empty", "once=true"], "empty: expected logs of runs below it, got none"),
        (["empty", "once=true", "out=mine"], "out: expected a new path, or an earlier journal"),
        (["empty", "out=empty"], "out: expected a new path, or an earlier journal"),
        (["empty", "port=0"], "port: expected an integer of at least 1 and at most 65535, got 0"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").write_text("my notes")
    assert command.main(["watch", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(expected)
    assert (tmp_path / "mine").read_text() == "my notes"


def test_once_writes_a_journal_and_replaces_an_earlier_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "runs", EVENTS)
    words = ["watch", str(tmp_path / "runs"), "once=true", f"out={tmp_path}/runs.journal"]
    for _ in range(2):
        assert command.main(words) == 0
        assert capsys.readouterr().out == f"1 run: {tmp_path}/runs.journal\n"
        storage = JournalStorage(JournalFileBackend(f"{tmp_path}/runs.journal"))
        assert [study.study_name for study in storage.get_all_studies()] == [
            "f | a | seed 0 | 01234567"
        ]


def test_the_command_serves_runs_that_begin_later_until_it_is_interrupted(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    words = [sys.executable, "-m", "experiments", "watch", str(tmp_path / "runs"), "every=0.1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    watch = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert watch.stdout is not None
        url = watch.stdout.readline().split()[2]
        assert requested(f"{url}api/studies") == {"study_summaries": []}
        write(tmp_path / "made", EVENTS)
        (tmp_path / "made").rename(tmp_path / "runs" / "new")
        assert watch.stdout.readline().startswith("0 runs")
        assert watch.stdout.readline().startswith("1 run")
        assert len(requested(f"{url}api/studies/0")["trials"]) == 5
    finally:
        watch.send_signal(signal.SIGINT)
        assert watch.wait(timeout=60) == 0
    assert list(tmp_path.glob("tuneoff-watch-*")) == []


@pytest.mark.slow
def test_a_browser_shows_the_run(page: Dashboard, tmp_path: Path) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    for place, words in (("dashboard", "f | a | seed 0"), ("dashboard/studies/0/trials", "Fail")):
        done = subprocess.run(
            [browser(), *flags, profile, "--dump-dom", page.url + place],
            capture_output=True, text=True, timeout=240, check=True,
        )  # fmt: skip
        assert words in done.stdout
