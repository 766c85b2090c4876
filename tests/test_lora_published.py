"""The published study as a closed form: its landmarks, its noise, its fit and its source files."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hydra.utils import instantiate

from experiments.running.from_words import run_of
from objectives.lora_published import convert, fit
from objectives.lora_published.evaluations import read
from objectives.lora_published.objective import HELLASWAG, MMLU, LoraPublished
from objectives.lora_published.surface import Surface
from objectives.trial import Config, Trial
from published_csv import CSV, needs_csv

CONF = str(Path(__file__).parents[1] / "conf")
HEADER = "lora_rank_used,lora_alpha_used,log10_learning_rate,hellaswag_acc,mmlu_acc\n"


def objective(*overrides: str) -> LoraPublished:
    with initialize_config_dir(CONF, version_base=None):
        settings = compose("config", ["objective=lora_published", *overrides])
    built = instantiate(settings.objective, _convert_="all")
    assert isinstance(built, LoraPublished)
    return built


def config(rank: int = 32, alpha: int = 16, log10_rate: float = -7.0, **others: float) -> Config:
    plain: Config = {"lora_rank": rank, "lora_alpha": alpha, "learning_rate": 10**log10_rate}
    return {**plain, "lora_dropout": 0.1, "weight_decay": 1e-3, **others}


def accuracy(**settings: Any) -> float:
    return objective().evaluate(Trial(0, config(**settings))).metrics["hellaswag_acc"]


def test_the_formula_by_hand() -> None:
    # s = 1/2 far below every threshold: acc = ch + (b - ch) exp(-(s / s0)^k), with ch = 0.25,
    # b = 0.45, s0 = 1, k = 2 and c = 0: 0.25 + 0.2 e^-0.25 = 0.40576.
    surface = Surface(0.25, 0.45, 0.0, 2.0, 0.0, 0.3, -4.0, 0.1, -2.5, 0.1, 0.3, -0.02, -3.0)
    found = surface.accuracy(np.array(0.5), np.array(-9.0))
    assert float(found) == pytest.approx(0.25 + 0.2 * math.exp(-0.25), abs=1e-9)


def test_value_is_one_minus_hellaswag_and_mmlu_is_the_test() -> None:
    trial = Trial(3, config())
    found = objective().evaluate(trial)
    assert found.value == 1 - found.metrics["hellaswag_acc"]
    assert set(found.metrics) == {"hellaswag_acc", "mmlu_acc"}
    assert objective().test(trial) == {"mmlu_acc": found.metrics["mmlu_acc"]}


def test_landmarks_of_the_study() -> None:
    assert accuracy(rank=64, alpha=1) == pytest.approx(0.4777, abs=0.003)  # the base model's
    assert accuracy(rank=8, alpha=64) == pytest.approx(0.257, abs=0.003)  # collapsed
    assert accuracy(rank=64, alpha=1, log10_rate=-1.2) == pytest.approx(0.257, abs=0.003)  # cliff
    assert accuracy(rank=53, alpha=11, log10_rate=-5.5) == pytest.approx(0.4722, abs=0.003)


def test_only_alpha_over_rank_and_the_rate_matter() -> None:
    same = [config(32, 16), config(64, 32), config(lora_dropout=0.4, weight_decay=0.1)]
    found = {objective().evaluate(Trial(0, each)).value for each in same}
    assert len(found) == 1


def test_the_optimum_is_that_of_the_space() -> None:
    narrow = objective("++objective.space.lora_alpha.lower=32")
    assert (objective().optimum or 0.0) < (narrow.optimum or 0.0)
    assert narrow.minimisers[0]["lora_alpha"] == 32 and narrow.minimisers[0]["lora_rank"] == 64


def values(noise: str, log10_rate: float, seed: int = 0, n: int = 400) -> np.ndarray[Any, Any]:
    noisy = objective(f"objective.noise={noise}", f"objective.seed={seed}")
    point = config(53, 11, log10_rate)
    metrics = [noisy.evaluate(Trial(id, point)).metrics for id in range(n)]
    return np.array([[m["hellaswag_acc"], m["mmlu_acc"]] for m in metrics])


def test_repeats_differ_as_the_studys_do() -> None:
    found = values("repeat", -5.5)
    # 400 draws: their standard deviation is within 5 / sqrt(800) = 18 % of the true one.
    assert found.std(axis=0) == pytest.approx([1e-4, 2e-4], rel=0.18)
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.25  # five standard errors of 1 / 20


def test_the_declared_noise_is_that_of_the_goal() -> None:
    words = ["objective.noise=repeat", "objective.goals=[mmlu_acc]"]
    assert objective(words[0]).noise_sd == 1e-4 and objective(*words).noise_sd == 2e-4


def test_noise_goes_by_seed_and_trial() -> None:
    assert (values("divergence", -2.5, n=20) == values("divergence", -2.5, n=20)).all()
    assert (values("divergence", -2.5, n=20) != values("divergence", -2.5, seed=1, n=20)).any()


def test_runs_diverge_in_the_band_by_the_coin_and_nowhere_else() -> None:
    log10_rate = -2.5
    level = accuracy(rank=53, alpha=11, log10_rate=log10_rate)
    found = values("divergence", log10_rate, n=1000)[:, 0]
    diverged = np.abs(found - level) > 1e-3
    x = (log10_rate + 0.35 * math.log10(11 / 53) - HELLASWAG.l2) / 0.1
    p = 1 / (1 + math.exp(-x))
    # Within five standard deviations of a binomial share.
    assert diverged.mean() == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / 1000))
    assert found[diverged].mean() == pytest.approx(HELLASWAG.ch, abs=0.002)
    assert found[diverged].std() == pytest.approx(0.006, rel=0.25)
    assert np.ptp(values("divergence", -2.2)[:, 0]) < 0.002


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("objective.noise=much", "noise: expected one of"),
        ("objective.seed=-1", "seed: expected an integer"),
        ("++objective.space.lora_alpha.lower=0", "space.lora_alpha: expected positive values"),
        ("++objective.space.epochs={type: int, lower: 1, upper: 2}", "space: expected"),
    ],
)
def test_settings_are_checked(override: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        objective(override)


def test_equal_rank_alpha_and_rate_never_straddle_folds() -> None:
    groups = np.random.default_rng(0).integers(0, 40, size=200)
    fold = fit.folds(groups, 10, seed=0)
    assert all(len(set(fold[groups == group])) == 1 for group in set(groups.tolist()))
    assert set(fold) == set(range(10)) and max(np.bincount(fold)) <= 30


def test_the_fit_finds_a_surface_again() -> None:
    rng = np.random.default_rng(1)
    scale, rate = rng.uniform(0.02, 3, 150), rng.uniform(-9, -1.5, 150)
    found = fit.fit(scale, rate, HELLASWAG.accuracy(scale, rate), fit.starts(3, seed=0))
    difference = found.accuracy(scale, rate) - HELLASWAG.accuracy(scale, rate)
    assert np.sqrt(np.mean(difference**2)) < 0.004


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("mmlu_acc", "x"), "expected a column mmlu_acc"),
        (HEADER + "8,16,-3,1.5,0.3\n", r"row 1 \(line 2\), column hellaswag_acc: .* got 1.5"),
        (HEADER + "8,16,,0.4,0.3\n", "row 1 .*, column log10_learning_rate: expected a finite"),
        (HEADER + "8,16,-3,0.4,0.3\n", "expected at least 20 evaluated rows, got 1"),
        ("algorithm," + HEADER + "A,8,16,-3,.4,.3\nA,8,16,-3,.4,.3\n", "row 2 .* got row 1 again"),
    ],
)
def test_evaluations_that_cannot_be_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read(path)


def test_the_fit_wants_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main([]) == 2 == fit.main(["data=/nowhere.csv"])
    assert capsys.readouterr().err.count("\n") == 2


@needs_csv
def test_the_committed_surfaces_are_fits_to_the_published_evaluations() -> None:
    assert CSV is not None
    data = read(CSV)
    scale = data.alpha / data.rank
    # As the script prints: "fitted  R2 0.962" and "R2 0.960".
    for metric, surface, r2 in (("hellaswag_acc", HELLASWAG, 0.962), ("mmlu_acc", MMLU, 0.960)):
        fitted = surface.accuracy(scale, data.log10_rate)
        found = fit.errors(fitted, data.accuracies[metric], data.log10_rate)
        assert found[0] == pytest.approx(r2, abs=6e-4)


def _result(state: str, number: int) -> dict[str, Any]:
    """Return a made-up result in the study's form."""
    score: dict[str, Any] = {"UCB": 0.4, "LCB": 0.2}
    if state == "evaluated":
        parts = {"acc,none": 0.3, "acc_stderr,none": 0.01, "acc_norm,none": 0.35}
        score = {"hellaswag": parts, "mmlu": {"acc,none": 0.25, "acc_stderr,none": 0.02}}
    return {
        "timing": {"opening_time": f"t{number}", "end_training_time": "u", "ending_time": "v"},
        "solution": {
            "base_value": [12.33, 32.5, 0.25, -5.5, -3.0],
            "converted_values": [12, 32, 0.25, 10**-5.5, 0.001],
        },
        "score": score,
        "info": {"depth": 1, "depth_id": number, "loop": 0, "score_state": state},
    }


def test_the_studys_files_become_the_csv(tmp_path: Path) -> None:
    states = ["evaluated", "approximated", "evaluated"]
    lines = [json.dumps(_result(state, number)) for number, state in enumerate(states)]
    source, out = tmp_path / "bamsoo.json", tmp_path / "all.csv"
    source.write_text("\n".join(lines) + "\n")
    assert convert.main(["model=M", f"BaMSOO={source}", f"out={out}"]) == 0
    head, *rows = out.read_text().splitlines()
    relaxed = "12.33,32.5,0.25,-5.5,-3.0,12,32,2.6666666666666665"
    assert head == ",".join(convert.COLUMNS)
    assert rows == [
        f"M,BaMSOO,0,1.0,evaluated,,1.0,0.0,0.0,{relaxed},0.3,0.01,0.35,0.25,0.02,,,t0,u,v",
        f"M,BaMSOO,1,,approximated,,1.0,1.0,0.0,{relaxed},,,,,,0.4,0.2,t1,u,v",
        f"M,BaMSOO,2,2.0,evaluated,,1.0,2.0,0.0,{relaxed},0.3,0.01,0.35,0.25,0.02,,,t2,u,v",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: expected JSON"),
        ("{}", "line 1: expected a result of the study, got no 'info'"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path: Path, line: str, message: str) -> None:
    source = tmp_path / "soo.json"
    source.write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        convert.convert(source, "M", "SOO")


def test_choices_and_constants_replace_the_published_ranges() -> None:
    changed = (
        "objective.space.lora_rank={type:ordinal,choices:[8,32]}",
        "objective.space.learning_rate={type:ordinal,choices:[1e-5,1e-4]}",
    )
    made = run_of("objective=lora_published", "objective.space.lora_alpha=16", *changed).objective
    (minimiser,) = made.minimisers
    assert (minimiser["lora_rank"], minimiser["lora_alpha"]) == (32, 16)
    values = {rate: made.evaluate(Trial(0, {**minimiser, "learning_rate": rate})).value
              for rate in (1e-5, 1e-4)}  # fmt: skip
    assert made.optimum == min(v for v in values.values() if v is not None)
    with pytest.raises(HydraException, match=r"space\.lora_rank: expected integers, got 16\.5"):
        run_of("objective=lora_published", "objective.space.lora_rank=16.5")
