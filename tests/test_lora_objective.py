"""LoRA fine-tuning of the real SmolLM2 on the shipped data, with few items and steps."""

import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from objectives.items import unpack_bits, unpack_floats
from objectives.lora_ft.data import SHIPPED, read_folder
from objectives.lora_ft.measures import Measured
from objectives.lora_ft.objective import LoraFineTuning
from objectives.lora_ft.untrained import untrained
from objectives.lora_ft.workbench import split
from objectives.trial import Config, Evaluation, Trial, keeps
from optimizers.goal_targets import goal_targets

CONF = Path(__file__).parents[1] / "conf/objective"
YAML = OmegaConf.merge(
    OmegaConf.load(CONF / "route/in_process.yaml"),
    OmegaConf.load(CONF / "lora_space/published.yaml"),
)
N_QUESTIONS = 4
SETTINGS = set(YAML) - {"_target_", "defaults"}
SMALL = {
    "target": "p_right",  # so that HellaSwag is scored at every trial
    "data": "shipped",
    "steps": 3,
    "warmup_steps": 1,
    "batch": 2,
    "hellaswag_items": N_QUESTIONS,
    "heldout_items": 4,
    "heldout_items_least": 1,
    "test_items": 3,
}
CONFIG: Config = {
    "lora_rank": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.1,
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
}
WIDE_RATE = {"type": "float", "lower": 0.0, "upper": 1e15, "log": False}


def _objective(**changes: Any) -> LoraFineTuning:
    settings = OmegaConf.to_container(YAML)
    assert isinstance(settings, dict)
    named = {str(name): value for name, value in settings.items() if name in SETTINGS}
    return LoraFineTuning(**{**named, **SMALL, **changes})


def _wide_space() -> dict[str, Any]:
    """Return the space with every learning rate allowed."""
    parameters = OmegaConf.to_container(YAML.space)
    assert isinstance(parameters, dict)
    return {**{str(name): value for name, value in parameters.items()}, "learning_rate": WIDE_RATE}


@cache
def _loaded(precision: str) -> LoraFineTuning:
    """One objective with every learning rate allowed, its model loaded once for all tests."""
    return _objective(space=_wide_space(), precision=precision)


def _evaluate(precision: str = "auto", **changes: Any) -> Evaluation:
    return _loaded(precision).evaluate(Trial(0, {**CONFIG, **changes}))


@cache
def _usual() -> Evaluation:
    """The evaluation of `CONFIG`."""
    return _evaluate()


@cache
def _base(precision: str) -> dict[str, str]:
    """The items' outcomes without any learning: the rate is zero."""
    return _evaluate(precision=precision, learning_rate=0.0).items


CORNERS = [
    (2, 64, 0.5),  # alpha / rank and the dropout are the largest, so an error shows most here
    pytest.param(64, 1, 0.0, marks=pytest.mark.slow),
    pytest.param(33, 32, 0.25, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("rank", "alpha", "dropout"), CORNERS)
def test_without_learning_every_configuration_is_the_base_model(
    rank: int, alpha: int, dropout: float
) -> None:
    adapters: dict[str, Any] = {"lora_rank": rank, "lora_alpha": alpha, "lora_dropout": dropout}
    assert _evaluate(learning_rate=0.0, **adapters).items == _base("auto")


@pytest.mark.parametrize(("rank", "alpha", "dropout"), CORNERS)
def test_at_the_lowest_rate_every_item_is_judged_as_by_the_base_model(
    rank: int, alpha: int, dropout: float
) -> None:
    adapters: dict[str, Any] = {"lora_rank": rank, "lora_alpha": alpha, "lora_dropout": dropout}
    items = _evaluate(precision="fp32", learning_rate=1e-10, **adapters).items
    base = _base("fp32")
    for name in ("hellaswag_acc", "hellaswag_acc_norm"):
        assert items[name] == base[name]
    for name in ("hellaswag_p_right", "heldout_loss"):
        ours, theirs = unpack_floats(items[name]), unpack_floats(base[name])
        np.testing.assert_allclose(ours, theirs, rtol=2**-10)  # one step of float16


def test_the_untrained_model_stands_beside_a_full_evaluation() -> None:
    items, name = _base("auto")["hellaswag_p_right"], "untrained_hellaswag_p_right"
    assert _usual().items[name] == items
    assert _usual().metrics[name] == pytest.approx(unpack_floats(items).mean(), rel=1e-3)


def test_the_untrained_model_is_scored_once_per_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    passes: list[int] = []

    def measure() -> Measured:
        passes.append(1)
        return Measured({"heldout_loss": 2.5}, {"heldout_loss": "AEE="})

    found = [untrained({"model": name}, measure) for name in ("a", "a", "b")]
    assert found == [found[0]] * 3 and len(passes) == 2
    (file, _) = sorted(tmp_path.rglob("*.json"))
    file.write_text("damaged")
    assert [untrained({"model": name}, measure) for name in "ab"] == found[:2]
    assert len(passes) == 3


def test_a_good_rate_learns() -> None:
    base = unpack_floats(_base("auto")["heldout_loss"])
    assert _evaluate(learning_rate=2e-3).metrics["heldout_loss"] < base.mean() - 0.05


def test_the_same_configuration_gives_the_same_score_bit_for_bit() -> None:
    first, again = _usual(), _evaluate()
    assert (first.value, first.items) == (again.value, again.items)


def test_the_number_of_threads_changes_no_score() -> None:
    alone = _objective(threads=1).evaluate(Trial(0, CONFIG))
    assert (alone.value, alone.items) == (_usual().value, _usual().items)


def test_a_far_too_large_rate_gives_chance_as_a_value() -> None:
    ruined = _evaluate(learning_rate=0.1, lora_alpha=64, lora_rank=2)
    assert ruined.error is None and ruined.value is not None
    base = unpack_floats(_base("auto")["heldout_loss"]).mean()
    assert ruined.metrics["heldout_loss"] > base + 1
    # Of 4 questions with four choices one is right by chance; all four in 1 of 256 draws.
    assert ruined.metrics["hellaswag_acc_norm"] < 1


def test_a_loss_that_is_no_number_is_a_failed_evaluation_with_its_reason() -> None:
    failed = _evaluate(learning_rate=1e15)
    assert failed.value is None and failed.cost > 0
    assert failed.error is not None and "loss is nan at step 2 of 3" in failed.error


def test_a_lower_fidelity_is_the_beginning_of_the_same_run() -> None:
    objective = _loaded("auto")
    third, whole = (objective.evaluate(Trial(0, CONFIG, share)) for share in (1 / 3, 1.0))
    # Of 3 steps one, and of 4 held-out items 2.
    assert third.metrics["train_loss"] != whole.metrics["train_loss"]
    assert len(unpack_floats(third.items["heldout_loss"])) == 2
    assert len(unpack_floats(whole.items["heldout_loss"])) == 4
    assert _usual().value == whole.value


def test_global_random_state_and_threads_stay_as_they_were() -> None:
    torch.manual_seed(1)
    before, n_threads = torch.get_rng_state(), torch.get_num_threads()
    _evaluate()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == n_threads


def test_items_hold_the_outcome_behind_every_metric() -> None:
    evaluation = _usual()
    metrics, items = evaluation.metrics, evaluation.items
    for name in ("hellaswag_acc", "hellaswag_acc_norm"):
        assert unpack_bits(items[name], N_QUESTIONS).mean() == metrics[name]
    for name in ("hellaswag_p_right", "heldout_loss"):
        mean = unpack_floats(items[name]).mean()
        assert mean == pytest.approx(metrics[name], rel=1e-3)


def test_the_incumbent_is_tested_on_other_instructions_and_no_value_depends_on_it() -> None:
    tested = _objective(test_every=2, mmlu_items=4)
    names = {"test_loss", "hellaswag_acc", "hellaswag_acc_norm", "hellaswag_p_right"}
    assert set(_loaded("auto").test(Trial(0, CONFIG))) == names
    assert names | {"mmlu_acc"} <= set(tested.evaluate(Trial(2, CONFIG)).metrics)
    odd = tested.evaluate(Trial(3, CONFIG))
    assert "test_loss" not in odd.metrics and odd.value == _usual().value


def test_hellaswag_is_scored_only_where_it_is_the_target() -> None:
    objective = _objective(target="heldout_loss")
    evaluation = objective.evaluate(Trial(0, CONFIG))
    assert evaluation.value == _usual().metrics["heldout_loss"]
    assert set(evaluation.items) == {"heldout_loss", "untrained_heldout_loss"}
    assert not [name for name in evaluation.metrics if name.startswith("hellaswag")]
    tested = objective.test(Trial(0, CONFIG))
    assert tested["hellaswag_p_right"] == _usual().metrics["hellaswag_p_right"]


def test_goals_and_limits_are_judged_by_the_metrics_of_a_training() -> None:
    goals = {"heldout_loss": 2.5, "trainable_parameters": 2e7}
    objective = _objective(space=_wide_space(), goals=goals, limits={"hellaswag_p_right": 0.99})
    objective._workbench = _loaded("auto")._load()  # so that the model is not loaded again
    configs: list[Config] = [CONFIG, {**CONFIG, "learning_rate": 1e15}]
    told = [objective.evaluate(Trial(id, config)) for id, config in enumerate(configs)]
    kept, failed = told
    assert kept.error is None and kept.value is None
    assert kept.metrics["heldout_loss"] == _usual().metrics["heldout_loss"]
    # Rank 8 on query, key, value and projection: 115,200 parameters per rank.
    assert kept.metrics["trainable_parameters"] == 8 * 115_200
    assert not keeps(objective.limits, kept.metrics)  # infeasible, and not failed
    assert failed.error is not None and failed.value is None
    targets = goal_targets(told, objective.goals)
    assert targets[1].tolist() == targets[0].tolist()


def test_a_pickled_objective_leaves_its_model_behind() -> None:
    assert len(pickle.dumps(_loaded("auto"))) < 5_000_000
    copied = pickle.loads(pickle.dumps(_objective()))
    assert copied.fingerprint() == _objective().fingerprint()


def test_no_instruction_is_both_trained_on_and_held_out() -> None:
    training, heldout = split(read_folder(SHIPPED, "shipped").instructions, seed=0)
    asked = {(item.instruction, item.input) for item in training}
    assert heldout and not asked & {(item.instruction, item.input) for item in heldout}


def test_the_notice_names_the_data_and_the_quantised_model() -> None:
    notice = _objective().notice()
    assert "data: shipped" in notice and "4-bit" in notice and "\n" not in notice


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("goals", ["loss"], "objective.goals: expected different metrics of "),
        ("limits", {"mmlu_acc": 1}, "objective.limits: expected metrics of "),
        ("target", "hellaswag", "objective.target: expected one of"),
        ("precision", "int4", "objective.precision: expected one of"),
        ("matrices", [], "objective.matrices: expected one of"),
        ("matrices", ["values"], "objective.matrices: expected one of"),
        ("steps", 0, "objective.steps: expected an integer of at least 1, got 0"),
        ("steps", 1.5, "objective.steps: expected an integer of at least 1, got 1.5"),
        (
            "hellaswag_items",
            0,
            "objective.hellaswag_items: expected null or an integer of at least 1",
        ),
        ("warmup_steps", 3, "objective.warmup_steps: expected fewer than steps=3, got 3"),
        ("model", "no/such/folder", "objective.model: expected SmolLM2"),
        ("space", {"lora_rank": {"type": "int", "lower": 2, "upper": 4}}, "objective.space"),
        ("schedule", "linear", "objective.schedule: expected one of"),
        ("betas", [0.9], "objective.betas: expected two numbers, got"),
        (
            "betas",
            [0.9, 1.0],
            "objective.betas.1: expected a finite number of at least 0 and below",
        ),
        ("clip_norm", 0, "objective.clip_norm: expected null or a finite number above 0, got 0"),
        ("min_lr", -1.0, "objective.min_lr: expected a finite number of at least 0, got -1.0"),
        (
            "lora_dropout",
            1.0,
            "objective.lora_dropout: expected a finite number of at least 0 and below 1, got 1.0",
        ),
        ("train_seed", -1, "objective.train_seed: expected an integer of at least 0, got -1"),
        ("data_seed", 0.5, "objective.data_seed: expected an integer of at least 0, got 0.5"),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(setting: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        _objective(**{setting: value})


@pytest.mark.parametrize(
    ("parameter", "description", "words"),
    [
        ("lora_alpha", {"type": "float", "lower": 1, "upper": 64}, "lora_alpha.type: expected int"),
        ("lora_rank", {"type": "float", "lower": 2, "upper": 64}, "lora_rank.type: expected int"),
        (
            "lora_alpha",
            {"type": "int", "lower": 0, "upper": 64},
            "lora_alpha.lower: expected an in",
        ),
        (
            "lora_alpha",
            {"type": "ordinal", "choices": [0.9, 2]},
            "lora_alpha.choices: expected an ",
        ),
        ("lora_rank", {"type": "constant", "value": 2.5}, "lora_rank.value: expected an integer"),
        ("lora_dropout", {"type": "float", "lower": 0, "upper": 1}, "lora_dropout.upper: expected"),
        ("learning_rate", {"type": "categorical", "choices": ["a", "b"]}, "learning_rate.choices"),
        ("batch", {"type": "ordinal", "choices": [2, 4]}, "batch: expected divisors of steps x"),
        ("batch", {"type": "ordinal", "choices": [6, 3]}, "batch: expected divisors of steps x"),
        ("matrices", {"type": "categorical", "choices": ["attention", "all"]}, "matrices.choices"),
    ],
)
def test_a_space_whose_values_would_be_cut_or_cannot_be_run_is_refused(
    parameter: str, description: dict[str, Any], words: str
) -> None:
    parameters = OmegaConf.to_container(YAML.space)
    assert isinstance(parameters, dict)
    with pytest.raises(ValueError, match="^objective.space." + words.replace(".", r"\.")):
        _objective(space={**parameters, parameter: description})


def test_matrices_and_batch_may_be_tuned_and_dropout_and_decay_fixed() -> None:
    space = OmegaConf.to_container(OmegaConf.load(CONF / "lora_space/table.yaml").space)
    objective = _objective(space=space, steps=4, warmup_steps=1, batch=2, target="heldout_loss")
    config: Config = {"learning_rate": 1e-3, "lora_rank": 2, "lora_alpha": 4}
    tuned = {
        (matrices, batch): objective.evaluate(
            Trial(0, {**config, "matrices": matrices, "batch": batch})
        ).metrics["train_loss"]
        for matrices in ("attention", "attention_mlp")
        for batch in (2, 4)
    }
    assert len(set(tuned.values())) == 4


def test_the_default_is_the_usual_configuration_where_the_space_holds_it() -> None:
    assert _objective().default is not None
    assert (_objective().default or {})["learning_rate"] == 1.7e-4
    narrow = {"type": "float", "lower": 1e-3, "upper": 1e-2, "log": True}
    parameters = OmegaConf.to_container(YAML.space)
    assert isinstance(parameters, dict)
    assert _objective(space={**parameters, "learning_rate": narrow}).default is None


def test_a_configuration_outside_the_space_is_refused() -> None:
    with pytest.raises(ValueError, match="config: expected a point of the space"):
        _objective().evaluate(Trial(0, {**CONFIG, "lora_rank": 65}))
