"""How LoRA fine-tuning is judged: by its target, or by the goals and limits that are set."""

from collections.abc import Mapping
from dataclasses import dataclass

from objectives.lora_ft.settings import TARGETS, goal_of
from objectives.trial import Goal
from objectives.wanted import Bounds, Names, Wanted

CHANCE = 0.25  # accuracy of guessing: HellaSwag has four endings, MMLU four answers
HELLASWAG = ("hellaswag_acc", "hellaswag_acc_norm", "hellaswag_p_right")
ALWAYS = {
    "heldout_loss": goal_of("heldout_loss")["heldout_loss"],
    "trainable_parameters": Goal(minimise=True),
    "train_s": Goal(minimise=True, unit="s"),
}
"""The metrics that every evaluation measures, whatever it is judged by."""


@dataclass(frozen=True)
class Judgement:
    """What an evaluation is judged by.

    Attributes:
        wanted: the goals and limits.
        target: the target that is the value, a key of `TARGETS`; None: the goals are.
    """

    wanted: Wanted
    target: str | None

    @classmethod
    def of(
        cls, target: str, goals: Names, limits: Bounds, measured: Mapping[str, Goal]
    ) -> "Judgement":
        """Return what the settings choose.

        Args:
            target: the setting `target`: the value, or the goal where only limits are set.
            goals: the setting `goals`.
            limits: the setting `limits`.
            measured: the metrics that may be goals or limited.

        Raises:
            ValueError: a setting is not as described.
        """
        if goals is None and limits is None:
            return cls(Wanted(goal_of(target), {}), target)
        return cls(Wanted.of(goals, limits, measured, [TARGETS[target][0]]), None)

    @property
    def metrics(self) -> set[str]:
        """The metrics that an evaluation has to measure."""
        return {*self.wanted.goals, *self.wanted.limits}

    def value(self, metrics: Mapping[str, float]) -> float | None:
        """Return the value to minimise: 1 - accuracy of a target; None for several goals."""
        if self.target is None:
            return self.wanted.value(metrics)
        metric, more_is_better = TARGETS[self.target]
        return 1 - metrics[metric] if more_is_better else metrics[metric]


def expect_questions(data: str, target: str) -> None:
    """Raise ValueError if a target needs questions, where the data are instructions alone."""
    if TARGETS[target][0] not in ALWAYS:
        raise ValueError(
            f"objective.target: expected heldout_loss, as {data} holds instructions alone, got "
            f"{target}; give a data folder with HellaSwag's questions as objective.data"
        )


def scored(*names: str) -> dict[str, Goal]:
    """Return accuracies, or shares like them, as metrics that may be goals."""
    return {name: Goal(minimise=False, reference=CHANCE) for name in names}
