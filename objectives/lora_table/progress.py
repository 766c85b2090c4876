"""What is left of a plan, read from the producer's files."""

from pathlib import Path

from objectives.lora_table import records
from objectives.lora_table.cells import Training
from objectives.lora_table.tasks import Plan


def planned(plan: Plan, folder: Path) -> tuple[list[Training], bool]:
    """Return the trainings that are known so far, and whether these are all of the plan.

    The best cells are known only after the first pass.
    """
    finished = records.done(folder)
    first = plan.first_pass()
    whole = all(training.key in finished for training in first)
    best = plan.best_replicates(final_losses(folder)) if whole else []
    return [*first, *plan.uniform_replicates(), *best], whole


def is_complete(plan: Plan, folder: Path) -> bool:
    """Return whether every training of a plan is recorded."""
    trainings, whole = planned(plan, folder)
    return whole and {training.key for training in trainings} <= records.done(folder)


def final_losses(folder: Path) -> dict[int, float | None]:
    """Return each cell's selection loss after its first training; None if it failed."""
    return {
        row["cell"]: None if row["error"] else row["checkpoints"][-1]["heldout_loss"]
        for row in records.rows(folder, damaged=True)
        if row["train_seed"] == 0
    }
