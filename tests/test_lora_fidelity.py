"""A share of the steps is the beginning of the same run, and a checkpoint continues it."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from objectives.lora_ft.objective import LoraFineTuning
from objectives.lora_ft.states import States
from objectives.trial import Config, Evaluation, Trial

CONF = Path(__file__).parents[1] / "conf/objective"
YAML = OmegaConf.merge(
    OmegaConf.load(CONF / "route/in_process.yaml"),
    OmegaConf.load(CONF / "lora_space/published.yaml"),
)
SMALL = {"data": "shipped", "batch": 1, "heldout_items": 2, "heldout_items_least": 2}
CONFIG: Config = {
    "lora_rank": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.2,
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
}


def _objective(folder: Path | None, **changes: Any) -> LoraFineTuning:
    settings = OmegaConf.to_container(YAML)
    assert isinstance(settings, dict)
    named = {str(name): x for name, x in settings.items() if name != "_target_"}
    objective = LoraFineTuning(**{**named, **SMALL, "test_items": 2, **changes})
    objective.folder = folder
    return objective


@cache
def _bench() -> Any:
    """The weights and tokens, loaded once for all tests."""
    return _objective(None)._load()


def _loaded(folder: Path | None, **changes: Any) -> LoraFineTuning:
    objective = _objective(folder, **changes)
    objective._workbench = _bench()
    return objective


def _outcome(evaluation: Evaluation) -> tuple[Any, ...]:
    assert evaluation.error is None
    return evaluation.value, evaluation.items, evaluation.metrics["train_loss"]


@cache
def _at_once() -> tuple[Any, ...]:
    return _outcome(_loaded(None).evaluate(Trial(0, CONFIG)))


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_nine_steps_have_thirds() -> None:
    fidelities = _objective(None).fidelities
    assert fidelities is not None and fidelities.grid == (1 / 9, 1 / 3, 1.0)


def test_through_checkpoints_the_adapters_are_those_of_one_run_bit_by_bit(tmp_path: Path) -> None:
    first = _loaded(tmp_path)
    first.evaluate(Trial(4, CONFIG, 1 / 9))
    assert _files(tmp_path) == ["trial-4.json", "trial-4.pt"]
    second = _loaded(tmp_path)  # another worker
    second.evaluate(Trial(7, CONFIG, 1 / 3, resumes=4))
    whole = second.evaluate(Trial(9, CONFIG, 1.0, resumes=7))
    assert _outcome(whole) == _at_once()
    # A full training saves no state, and earlier states were deleted when they were continued.
    assert _files(tmp_path) == ["trial-4.json", "trial-7.json", "trial-9.json"]


def test_the_difference_is_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    objective = _loaded(tmp_path)
    begun = objective.begun

    def counted(chosen: Any) -> Any:
        run = begun(chosen)
        step = run.step

        def counting(team: Any) -> None:
            made.append(len(run.losses))
            step(team)

        monkeypatch.setattr(run, "step", counting)
        return run

    monkeypatch.setattr(objective, "begun", counted)
    objective.evaluate(Trial(0, CONFIG, 1 / 3))
    objective.evaluate(Trial(1, CONFIG, 1.0, resumes=0))
    assert made == [0, 1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_state_that_is_missing_is_made_again(tmp_path: Path, damage: str) -> None:
    objective = _loaded(tmp_path)
    objective.evaluate(Trial(0, CONFIG, 1 / 3))
    state = tmp_path / "checkpoints" / "trial-0.pt"
    state.unlink() if damage == "gone" else state.write_bytes(state.read_bytes()[:1000])
    assert _outcome(objective.evaluate(Trial(1, CONFIG, 1.0, resumes=0))) == _at_once()


def test_rate_decay_and_dropout_may_change_on_the_way_and_the_state_stays_for_others(
    tmp_path: Path,
) -> None:
    objective = _loaded(tmp_path)
    other = {**CONFIG, "learning_rate": 3e-3, "weight_decay": 0.1, "lora_dropout": 0.0}
    objective.evaluate(Trial(0, CONFIG, 1 / 9))
    changed = objective.evaluate(Trial(1, other, 1 / 3, resumes=0))
    assert "trial-0.pt" in _files(tmp_path)  # another trial may continue it as well
    States(tmp_path).clear()
    assert _outcome(objective.evaluate(Trial(1, other, 1 / 3, resumes=0))) == _outcome(changed)
    assert _outcome(objective.evaluate(Trial(2, other, 1 / 3))) != _outcome(changed)


def test_the_test_of_the_incumbent_ends_the_run_and_its_checkpoints(tmp_path: Path) -> None:
    objective = _loaded(tmp_path)
    objective.evaluate(Trial(0, CONFIG, 1 / 9))
    (tmp_path / "checkpoints" / "trial-5.pt.123").write_bytes(b"half")
    assert objective.test(Trial(1, CONFIG, 1.0, resumes=0))["test_loss"] > 0
    assert _files(tmp_path) == ["trial-0.json"]


@pytest.mark.parametrize(
    ("changes", "share", "words"),
    [
        ({"lora_rank": 5}, 1.0, "resumes: expected lora_rank=4 as in trial 0, got 5"),
        ({"lora_alpha": 9}, 1.0, "resumes: expected lora_alpha=8 as in trial 0, got 9"),
        ({}, 1 / 9, "fidelity: expected more than the 1 steps of trial 0, got 1"),
    ],
)
def test_what_cannot_be_continued_is_refused(
    tmp_path: Path, changes: dict[str, Any], share: float, words: str
) -> None:
    objective = _loaded(tmp_path)
    objective.evaluate(Trial(0, CONFIG, 1 / 9))
    with pytest.raises(ValueError, match=words):
        objective.evaluate(Trial(1, {**CONFIG, **changes}, share, resumes=0))


def test_nothing_to_continue_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="expected the checkpoint of trial 3, got no"):
        _loaded(tmp_path).evaluate(Trial(4, CONFIG, 1.0, resumes=3))
    with pytest.raises(RuntimeError, match="expected the folder of the run"):
        _loaded(None).evaluate(Trial(4, CONFIG, 1.0, resumes=3))


@pytest.mark.parametrize("share", [0.5, 1 / 27, 2.0])
def test_a_share_that_is_no_whole_step_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="^fidelity: expected one of 0.1111, 0.3333, 1, got"):
        _loaded(None).evaluate(Trial(0, CONFIG, share))


def test_the_cosine_s_beginning_is_shared_too_and_its_end_is_the_lowest_rate() -> None:
    plan = _objective(None, schedule="cosine", steps=9, warmup_steps=2, min_lr=1e-4)._plan
    rates = [plan.rate(step, 1e-3, 1) for step in range(10)]
    # Warm-up by thirds, then from the peak at step 2 to the lowest at the end.
    assert rates[:3] == pytest.approx([1e-3 / 3, 2e-3 / 3, 1e-3])
    assert rates[9] == pytest.approx(1e-4)
    assert plan.rate(8, 1e-5, 1) == pytest.approx(1e-5)  # a peak below it stays


def test_a_clipped_training_differs_and_a_limit_never_reached_changes_nothing() -> None:
    values = {
        limit: _loaded(None, clip_norm=limit).evaluate(Trial(0, CONFIG, 1 / 3)).value
        for limit in (None, 1e6, 1e-3)
    }
    assert values[None] == values[1e6] != values[1e-3]


def test_another_train_seed_is_another_training_of_the_same_items() -> None:
    first, second = (
        _loaded(None, train_seed=seed).evaluate(Trial(0, {**CONFIG, "learning_rate": rate}, 1 / 9))
        for seed, rate in ((1, 1e-3), (2, 1e-3))
    )
    untrained = [
        _loaded(None, train_seed=seed).evaluate(Trial(0, {**CONFIG, "learning_rate": 1e-10}, 1 / 9))
        for seed in (1, 2)
    ]
    assert first.value != second.value
    assert untrained[0].items == untrained[1].items


def test_states_are_tensors_alone(tmp_path: Path) -> None:
    _loaded(tmp_path).evaluate(Trial(0, CONFIG, 1 / 9))
    stored = torch.load(tmp_path / "checkpoints" / "trial-0.pt", weights_only=True)
    assert set(stored) == {"losses", "masters", "torch_optimizer"}
