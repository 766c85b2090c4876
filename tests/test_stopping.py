"""The rules that end a run before its budget is spent."""

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.analysis.pack import main as pack
from experiments.analysis.results import load
from experiments.analysis.statistics.gather import gather
from experiments.running.command_line import run_one
from experiments.running.composing import composed
from experiments.running.events import Ask, Evaluated
from experiments.running.from_words import names_of, run_of
from experiments.running.header import Header
from experiments.running.history import History
from experiments.running.run_log import read
from experiments.running.stopping import Busy, Limits, Progress, rule_of
from experiments.sweeping.sweep import main as sweep
from made_headers import header_event
from objectives.trial import Evaluation, Trial

BRANIN = ("optimizer=random", "objective=branin", "budget=30")


def _made(folder: Path, *words: str) -> History:
    run = run_of(*words)
    if run.is_finished(run.history(folder)):
        return run.history(folder)
    with run.open(folder) as log:
        run.execute(log)
        return log.history


def _asked(history: History) -> list[Trial]:
    return list(history.trials.values())


def test_a_run_ends_after_its_patience_and_its_log_says_why(tmp_path: Path) -> None:
    history = _made(tmp_path, *BRANIN, "stop.patience=5")
    best = history.incumbent()
    assert best is not None
    assert list(history.evaluations)[-1] == best + 5  # five evaluations after the last improvement
    assert history.ended
    assert history.stopped == "stop.patience=5: 5 full evaluations without an improvement"
    assert read(tmp_path / "log.jsonl").stopped == history.stopped


def test_a_stopped_run_is_finished_until_its_limit_grows_or_goes(tmp_path: Path) -> None:
    stopped = len(_made(tmp_path, *BRANIN, "stop.patience=4").evaluations)
    again = run_of(*BRANIN, "stop.patience=4")
    assert again.is_finished(again.history(tmp_path))
    more = _made(tmp_path, *BRANIN, "stop.patience=6")
    assert len(more.evaluations) == stopped + 2
    whole = _made(tmp_path, *BRANIN)
    assert whole.stopped is None
    assert _asked(whole) == _asked(_made(tmp_path / "never_stopped", *BRANIN))


def test_a_rule_is_not_part_of_a_runs_identity() -> None:
    one, other = run_of(*BRANIN), run_of(*BRANIN, "stop=patience")
    assert one.header.identity == other.header.identity


def test_a_run_that_was_killed_stops_where_it_would_have_stopped(tmp_path: Path) -> None:
    words = (*BRANIN, "stop.patience=5")
    whole = _made(tmp_path / "whole", *words)
    lines = (tmp_path / "whole" / "log.jsonl").read_bytes().splitlines(keepends=True)
    for n in range(1, len(lines), 3):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "log.jsonl").write_bytes(b"".join(lines[:n]))
        resumed = _made(folder, *words)
        assert (_asked(resumed), resumed.stopped) == (_asked(whole), whole.stopped)


def test_the_cost_of_all_evaluations_is_limited(tmp_path: Path) -> None:
    simulated = ("executor=simulated", "executor.seconds=100", "executor.jitter=0.5")
    history = _made(tmp_path, *BRANIN, *simulated, "stop.cost=1000")
    costs = [evaluation.cost for evaluation in history.evaluations.values()]
    assert sum(costs) >= 1000 > sum(costs[:-1])
    assert history.stopped is not None and history.stopped.startswith("stop.cost=1000: ")


def test_a_simulated_clock_counts_simulated_hours(tmp_path: Path) -> None:
    simulated = ("executor=simulated", "executor.seconds=3600", "workers=2")
    history = _made(tmp_path, *BRANIN, *simulated, "stop.hours=3")
    # Two evaluations an hour; those asked before the third hour ended are answered.
    assert len(history.evaluations) in (6, 7)
    assert history.stopped is not None and history.stopped.startswith("stop.hours=3: 3 ")


def test_intervals_that_overlap_count_once() -> None:
    busy = Busy()
    for start, end in ((0, 10), (5, 12), (20, 30), (18, 31), (40, 41)):
        busy.add(start, end)
    assert busy.total_s == 12 + 13 + 1


def _history(*events: Ask | Evaluated) -> History:
    history = History()
    history.begin(Header.from_json(header_event()))
    for event in events:
        history.take(event)
    return history


def test_a_pause_between_two_commands_does_not_count_as_work() -> None:
    one, two = Trial(0, {"x": 0.0}), Trial(1, {"x": 1.0})
    history = _history(
        Ask(1, [one], 1.0, {}, time=100.0),
        Evaluated(0, Evaluation(1.0, 10.0), time=110.0),
        Ask(1, [two], 1.0, {"0": 2.0}, time=113.0),
        # The process was killed, and the trial was evaluated again a day later.
        Evaluated(1, Evaluation(1.0, 10.0), time=86400.0),
    )
    progress = Progress(history)
    progress.update()
    # Asks of 1 s at 99 and 112, evaluations of 10 s, and a tell of 2 s that ends with the ask.
    assert progress.work_s == pytest.approx(1 + 10 + 2 + 1 + 10)


def test_a_simulated_cost_is_no_work_before_the_trial_was_asked() -> None:
    history = _history(
        Ask(1, [Trial(0, {"x": 0.0})], 0.0, {}, time=100.0),
        Evaluated(0, Evaluation(1.0, 7200.0), time=100.5),
    )
    progress = Progress(history)
    progress.update()
    assert (progress.work_s, progress.cost_s) == (0.5, 7200.0)


def test_a_better_set_of_several_goals_is_an_improvement(tmp_path: Path) -> None:
    words = ("optimizer=random", "objective=zdt1", "budget=40", "stop.patience=4")
    history = _made(tmp_path, *words)
    assert max(history.incumbents()) == list(history.evaluations)[-5]


def test_the_bound_on_the_regret_ends_a_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    history = _made(tmp_path, *BRANIN, "stop.regret=1e6")
    assert len(history.evaluations) == 20  # the first number from which there is a bound
    assert history.stopped is not None
    assert history.stopped.startswith("stop.regret=1e+06: the regret is at most ")


def test_the_regret_of_several_goals_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    run = run_of("optimizer=random", "objective=zdt1", "stop.regret=1")
    with pytest.raises(ValueError, match="stop.regret: expected an objective with one goal"):
        run.open(tmp_path)
    assert not (tmp_path / "log.jsonl").exists()


@pytest.mark.parametrize("limit", [0, -1, True, float("nan")])
def test_a_limit_is_a_positive_number(limit: float) -> None:
    with pytest.raises(ValueError, match="stop.hours: expected null or a positive number, got "):
        Limits(hours=limit)


def test_settings_without_a_rule_are_refused() -> None:
    with pytest.raises(ValueError, match="stop: expected a rule"):
        rule_of({"_target_": "pathlib.PurePath"})


def test_the_command_says_that_a_rule_stopped_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*BRANIN, "stop.patience=4", f"out={tmp_path / 'run'}", "plot=false", "progress=false")
    for _ in range(2):
        run_one(composed("config", words), names_of(words))
        shown = capsys.readouterr().out
        assert "stop.patience=4: 4 full evaluations without an improvement" in shown


def test_a_stopped_run_of_a_sweep_is_noted_and_continues_without_the_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ("objectives=[branin]", "optimizers=[random]", "seeds=0")
    words = ["experiment=smoke", *only, f"out={tmp_path}"]
    assert sweep([*words, "stop.patience=2", "progress=false"]) == 0
    runs = load([tmp_path])
    assert all(run.ended and run.stopped for run in runs)
    assert "were stopped by a rule" in gather([tmp_path], None, None).notes[0]
    assert pack([str(tmp_path), f"out={tmp_path / 'packed.xz'}"]) == 0
    assert [run.stopped for run in load([tmp_path / "packed.xz"])] == [run.stopped for run in runs]
    (tmp_path / "packed.xz").unlink()
    assert sweep([*words, "progress=false"]) == 0
    assert [len(run.ids) for run in load([tmp_path])] == [10]
    assert all(run.stopped is None for run in load([tmp_path]))
    capsys.readouterr()


def test_a_stopped_run_is_never_better_off_than_the_whole_run(tmp_path: Path) -> None:
    whole = _made(tmp_path / "whole", *BRANIN)
    _made(tmp_path / "stopped", *BRANIN, "stop.patience=4")
    (stopped,) = load([tmp_path / "stopped"])
    (all_of_it,) = load([tmp_path / "whole"])
    assert whole.ended and stopped.budget == all_of_it.budget == 30
    last, best = stopped.incumbent(30), all_of_it.incumbent(30)
    assert last is not None and best is not None
    assert stopped.values[last] >= all_of_it.values[best]
    assert replace(stopped, stopped=None).ended
