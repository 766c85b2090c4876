"""Tables of real LoRA fine-tunings; a look-up takes microseconds instead of a minute.

A table has configurations of SmolLM2-135M, each trained to the end on one kind of data, with
checkpoints at 1/9, 1/3 and 1 of the steps: all 640 of the grid for the task `alpaca`, and 80 for
`hellaswag` (`results/lora_table/README.md` and `results/lora_table_hellaswag/README.md` are the
data sheets). The look-up is exact, because all axes are ordinal or categorical. If a task has a
part of the grid, the space lists its configurations, and optimizers ask for these only. A failed
training is a failed evaluation.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from objectives import expected
from objectives.draws import draws
from objectives.lora_ft.settings import default_of, expect_share
from objectives.lora_table.lookup import (
    GRID,
    Row,
    expect_grid,
    items_of,
    key_of,
    keys_of,
    read,
    relabelled,
    rows_of,
)
from objectives.lora_table.tasks import TASKS
from objectives.objective import Objective
from objectives.override import with_pinned
from objectives.space import build_space, check
from objectives.trial import Config, Evaluation, Fidelities, Goal, Trial, keeps
from objectives.wanted import Bounds, Names, Wanted

_SHARES = (1 / 9, 1 / 3, 1.0)
_MEASURED = {
    "heldout_loss": Goal(minimise=True, unit="nats per token"),
    "trainable_parameters": Goal(minimise=True),
    "train_seconds": Goal(minimise=True, unit="s"),
}
_NOISES = ("none", "replicates")
# Parameters at rank 1 on all 30 blocks: inputs + outputs of each matrix; q, k and v have an A each.
_PARAMETERS = {"attention": 115_200, "attention_mlp": 305_280}
_ITEM_NAMES = ("selection 1/9", "selection 1/3", "selection 1")


class LoraTable(Objective):
    """Looks up a configuration; `conf/objective/lora_table.yaml` describes the settings.

    Raises:
        ValueError: a setting cannot be used, or the space is not part of the grid.
    """

    cheap = True
    simulates_cost = True

    def __init__(
        self,
        *,
        task: str,
        space: Mapping[str, Mapping[str, Any]],
        goals: Names,
        limits: Bounds,
        noise: str,
        relabel: int | None,
        folder: str | None,
        seed: int,
    ) -> None:
        expected.one_of("objective.task", task, tuple(TASKS))
        expected.one_of("objective.noise", noise, _NOISES)
        space = with_pinned(space)
        if relabel is not None:
            space = relabelled(space, expected.whole("objective.relabel", relabel, 0))
        self.space = build_space(space)
        expect_grid(self.space)
        self._task = TASKS[task]
        self._planned = keys_of(self._task.plan, self.space)
        self._wanted = Wanted.of(goals, limits, _MEASURED, ["heldout_loss"])
        self.goals, self.limits = self._wanted.goals, self._wanted.limits
        self.default = default_of(self.space)
        self.fidelities = Fidelities(_SHARES)
        self._noise, self._seed = noise, expected.whole("objective.seed", seed, 0)
        self._place = (
            expected.null_or(expected.path, "objective.folder", folder, "a folder")
            or self._task.place
        )
        content = read(self._place / "evaluations.csv.xz")
        self._digest = hashlib.sha256(content).hexdigest()
        self._rows = rows_of(content)
        self._cells = [key for key in self._planned if key in self._rows]
        if noise == "replicates":
            self._expect_replicates()
        self._declare()

    def evaluate(self, trial: Trial) -> Evaluation:
        """Look up a configuration.

        A trial that resumes another one is charged only for the steps after the next lower
        fidelity.

        Raises:
            ValueError: the configuration is not in the space or not in the task's plan, or the
                fidelity is not in the table.
            RuntimeError: the table does not hold the configuration yet.
        """
        check(self.space, trial.config)
        level = self._level(trial.fidelity)
        seed, levels = self._training(trial)
        row = levels[level]
        cost = float(row["seconds"])
        if trial.resumes is not None and level > 0:
            cost -= float(levels[level - 1]["train_seconds"])
        if row["error"]:
            return Evaluation(None, cost, error=row["error"])
        metrics = _metrics(row)
        packed = items_of(self._place).get((row["cell"], seed, _ITEM_NAMES[level]))
        items = {} if packed is None else {"heldout_loss": packed}
        return Evaluation(self._wanted.value(metrics), cost, metrics, items=items)

    def test(self, trial: Trial) -> dict[str, float]:
        """Look up the loss on other held-out items, and HellaSwag, at the end of a training."""
        check(self.space, trial.config)
        _, levels = self._training(trial)
        row = levels[self._level(trial.fidelity)]
        names = ("test_loss", "hellaswag_acc", "hellaswag_acc_norm", "hellaswag_p_right")
        return {name: float(row[name]) for name in names if row[name]}

    def fingerprint(self) -> dict[str, Any]:
        return {"data_digest": self._digest}

    def notice(self) -> str:
        n_cells, n_all = len(self._cells), len(self._planned)
        so_far = "" if n_cells == n_all else f", so far {n_cells} of {n_all} configurations"
        data = self._task.trained_on
        return f"data: real trainings of SmolLM2-135M on {data}, looked up{so_far}"

    def _level(self, fidelity: float) -> int:
        return _SHARES.index(expect_share(self.fidelities, fidelity))

    def _training(self, trial: Trial) -> tuple[str, list[Row]]:
        """Return the `train_seed` and the checkpoints of the training that answers a trial."""
        key = key_of(trial.config)
        if key not in self._planned:
            raise ValueError(
                f"config: expected one of the {len(self._planned)} configurations of task "
                f"{self._task.name}, got {trial.config}"
            )
        seeds = self._rows.get(key)
        if seeds is None or "0" not in seeds:
            raise RuntimeError(
                f"lora_table: expected a configuration that was trained, got {trial.config}; the "
                "table does not hold it yet"
            )
        seed = "0"
        if self._noise == "replicates":
            rng = draws(self._seed, trial.id)
            seed = str(rng.choice(sorted(seeds)))
        return seed, seeds[seed]

    def _expect_replicates(self) -> None:
        n_all = len(self._planned)
        n_replicated = sum(len(self._rows[key]) > 1 for key in self._cells)
        if n_replicated < n_all:
            raise ValueError(
                "objective.noise: expected a space whose configurations were all trained more "
                f"than once for replicates, got {n_replicated} of {n_all}; narrow objective.space"
            )

    def _declare(self) -> None:
        """Set noise, optimum and minimiser, for one goal and the cells trained so far.

        The optimum is that of the configurations that keep the limits.
        """
        if self._wanted.several:
            return
        found: list[tuple[float, int, Config]] = []
        noise = [0.0]
        for number, key in enumerate(self._cells):
            config = dict(zip(GRID, key, strict=True))
            seeds = self._rows[key]
            drawn = seeds if self._noise == "replicates" else ["0"]
            trainings = [seeds[seed][-1] for seed in drawn]
            measured = [_metrics(row) for row in trainings if not row["error"]]
            values = [self._wanted.value(metrics) or 0.0 for metrics in measured]
            if values:
                noise.append(float(np.ptp(values)))
            kept = [x for x, m in zip(values, measured, strict=True) if keeps(self.limits, m)]
            if kept:
                found.append((min(kept), number, config))
        self.noise_sd = max(noise)
        if found:
            self.optimum = min(found)[0]
            self.minimisers = [config for value, _, config in found if value == self.optimum]


def _metrics(row: Row) -> dict[str, float]:
    """Return what was measured at a checkpoint."""
    return {
        "heldout_loss": float(row["heldout_loss"]),
        "trainable_parameters": float(_PARAMETERS[row["matrices"]] * int(row["lora_rank"])),
        "train_seconds": float(row["train_seconds"]),
    }
