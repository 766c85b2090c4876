"""`tuneoff confirm`: the best observed, the recommended and the confirmed configurations."""

import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from experiments.analysis.results import load
from experiments.analysis.statistics.incumbents import (
    best_seen,
    candidates,
    confirmed,
    recommended,
    top,
)
from experiments.running import provenance
from experiments.running.from_words import run_of
from experiments.running.run import Run, RunSettings
from experiments.running.run_log import read
from experiments.sweeping import confirm
from made_runs import made_run


def _run(folder: Path, objective: str, seed: int = 0) -> None:
    """Make a run of random search with eight evaluations."""
    words = ["optimizer=random", *objective.split(), "budget=8", f"seed={seed}"]
    with initialize_config_dir(str(provenance.ROOT / "conf"), version_base=None):
        composed = compose("config", words)
    settings = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(settings, dict)
    plain = {str(key): value for key, value in settings.items()}
    names = {"optimizer": "random", "objective": "made"}
    run = Run(RunSettings(names, plain["optimizer"], plain["objective"], seed, plain["budget"]))
    with run.open(folder) as log:
        run.execute(log)


NOISY = "objective=noisy objective.sd=20"


def test_the_best_seen_is_the_incumbent_and_failures_are_none() -> None:
    run = made_run([None, 3.0, -9.0, 2.0], failed=[2])
    found = best_seen(run)
    assert found is not None and found.place == 3
    assert best_seen(made_run([None])) is None and recommended(made_run([None]), 1.0) is None


def test_what_was_evaluated_often_is_recommended_over_one_lucky_value() -> None:
    run = made_run([0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0, 10.0, 11.0])
    for i in range(2, 8):
        run.configs[i] = run.configs[1]
    # Under a noise of 5, a single value of 0 is shrunk by half, and the mean of seven values of 1
    # hardly.
    found = recommended(run, 5.0)
    assert found is not None and found.config == run.configs[1]
    plain = recommended(run, 0.0)
    assert plain is not None and plain.place == 0
    assert [one.place for one in top(run, 5.0, 2)] == [1, 0]


def test_a_configuration_that_failed_comes_after_all_that_never_did() -> None:
    run = made_run([1.0, None, 5.0])
    run.configs[1] = run.configs[0]
    found = recommended(run, 1.0)
    assert found is not None and found.place == 2
    assert confirmed(candidates(run)) == found


def test_the_top_few_are_evaluated_again_in_a_log_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(tmp_path / "runs", NOISY)
    words = [str(tmp_path / "runs"), f"out={tmp_path / 'again'}", "top=2", "repeats=4"]
    assert confirm.main(words) == 0
    (path,) = (tmp_path / "again").rglob("log.jsonl")
    history = read(path)
    assert history.header is not None and history.ended
    identity = load([tmp_path / "runs"])[0].header.identity
    assert history.header.optimizer["confirms"] == identity
    assert history.header.budget == 8 and len(history.evaluations) == 8
    values = [evaluation.value for evaluation in history.evaluations.values()]
    assert len(set(values)) == 8  # every repeat has new noise
    said = capsys.readouterr().out
    assert "best seen" in said and "recommended" in said and "(4 evaluations)" in said


def test_the_same_command_evaluates_nothing_twice(tmp_path: Path) -> None:
    _run(tmp_path / "runs", NOISY)
    words = [str(tmp_path / "runs"), f"out={tmp_path / 'again'}"]
    assert confirm.main(words) == 0
    (path,) = (tmp_path / "again").rglob("log.jsonl")
    before = path.read_bytes()
    path.write_bytes(b"".join(before.splitlines(keepends=True)[:12]))
    assert confirm.main(words) == 0
    values = [
        [event["value"] for line in text.splitlines() if "value" in (event := json.loads(line))]
        for text in (before.decode(), path.read_text())
    ]
    assert values[0] == values[1]


def test_new_seeds_remove_the_luck_of_the_best_seen(tmp_path: Path) -> None:
    seen, anew = [], []
    for seed in range(20):
        _run(tmp_path / f"runs{seed}", NOISY, seed)
        (run,) = load([tmp_path / f"runs{seed}"])
        again = confirm.confirm(run, tmp_path / "again", 1, 5)
        best = best_seen(run)
        assert again is not None and best is not None
        seen.append(best.best)
        anew.append(again.values.mean())
    # The least of eight values with a noise of 20 is 20 to 30 below its true value.
    assert np.mean(seen) < np.mean(anew) - 5


def test_without_noise_one_evaluation_confirms(tmp_path: Path) -> None:
    _run(tmp_path / "runs", "objective=branin")
    (run,) = load([tmp_path / "runs"])
    again = confirm.confirm(run, tmp_path / "again", 2, 5)
    assert again is not None and again.values.tolist() == sorted(run.values.tolist())[:2]


def test_new_evaluations_are_judged_by_the_limits_of_the_run() -> None:
    words = ["objective=serving_sim", "objective.limits={ttft_p90_s: 0.5}", "scalarise=weights"]
    header = run_of("optimizer=tpe", *words).header
    assert header.limits
    assert confirm.Reseeded(header.objective, n=1, repeats=1, seed=0).limits == header.limits


def test_runs_of_several_goals_are_said_to_be_those(tmp_path: Path) -> None:
    _run(tmp_path / "runs", "objective=zdt1")
    (run,) = load([tmp_path / "runs"])
    assert confirm.confirm(run, tmp_path / "again", 1, 1) is None
    assert "several goals" in [*confirm.lines(run, None)][1]


def test_only_integers_called_seed_are_renewed_at_any_depth() -> None:
    settings = {"seed": 1, "shift": 3, "inner": {"seed": 2, "sd": 0.1}}
    expected = {"seed": 7, "shift": 3, "inner": {"seed": 7, "sd": 0.1}}
    assert confirm.reseeded(settings, 7) == expected


def test_wrong_words_end_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        ([str(tmp_path)], "out: expected out=VALUE"),
        ([str(tmp_path), "out=x", "top=0"], "top: expected an integer of at least 1, got 0"),
        ([str(tmp_path), "out=x", "tops=1"], "tops: expected one of out, top, repeats"),
        ([str(tmp_path), "out=x"], "below it, got none"),
    ):
        assert confirm.main(words) == 2
        assert said in capsys.readouterr().err
