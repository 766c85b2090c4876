"""A table of real LoRA fine-tunings; a look-up takes microseconds instead of a minute.

The table has 640 configurations of SmolLM2-135M on Alpaca. Each was trained to the end, with
checkpoints at 1/9, 1/3 and 1 of the steps (`results/lora_table/README.md` is the data sheet). The
look-up is exact, because all axes are ordinal or categorical. A failed training is a failed
evaluation.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from objectives import expected
from objectives.draws import draws
from objectives.lora_ft.settings import default_of, expect_share
from objectives.lora_table.lookup import (
    GRID,
    Row,
    choices_of,
    expect_grid,
    holds,
    items_of,
    key_of,
    read,
    relabelled,
    rows_of,
)
from objectives.objective import Objective
from objectives.override import with_pinned
from objectives.space import build_space, check
from objectives.trial import Config, Evaluation, Fidelities, Goal, Trial

_HERE = Path(__file__).parent
_SHARES = (1 / 9, 1 / 3, 1.0)
_GOALS = {
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
        space: Mapping[str, Mapping[str, Any]],
        goals: Sequence[str],
        noise: str,
        relabel: int | None,
        folder: str | None,
        seed: int,
    ) -> None:
        expected.one_of("objective.noise", noise, _NOISES)
        for name in [*goals] or ["none"]:
            expected.one_of("objective.goals", name, _GOALS)
        space = with_pinned(space)
        if relabel is not None:
            space = relabelled(space, expected.whole("objective.relabel", relabel, 0))
        self.space = build_space(space)
        expect_grid(self.space)
        self.goals = {name: _GOALS[name] for name in goals}
        self.default = default_of(self.space)
        self.fidelities = Fidelities(_SHARES)
        self._noise, self._seed = noise, expected.whole("objective.seed", seed, 0)
        self._place = (
            expected.null_or(expected.path, "objective.folder", folder, "a folder") or _HERE
        )
        content = read(self._place / "evaluations.csv.xz")
        self._digest = hashlib.sha256(content).hexdigest()
        self._rows = rows_of(content)
        self._cells = [key for key in self._rows if holds(self.space, key)]
        if noise == "replicates":
            self._expect_replicates()
        self._declare()

    def evaluate(self, trial: Trial) -> Evaluation:
        """Look up a configuration.

        A trial that resumes another one is charged only for the steps after the next lower
        fidelity.

        Raises:
            ValueError: the configuration is not in the space, or the fidelity not in the table.
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
        metrics = {
            "heldout_loss": float(row["heldout_loss"]),
            "trainable_parameters": float(_PARAMETERS[row["matrices"]] * int(row["lora_rank"])),
            "train_seconds": float(row["train_seconds"]),
        }
        value = metrics[next(iter(self.goals))] if len(self.goals) == 1 else None
        packed = items_of(self._place).get((row["cell"], seed, _ITEM_NAMES[level]))
        return Evaluation(
            value, cost, metrics, items={} if packed is None else {"heldout_loss": packed}
        )

    def test(self, trial: Trial) -> dict[str, float]:
        """Look up the loss on 128 other instructions, measured at the end of each training."""
        check(self.space, trial.config)
        _, levels = self._training(trial)
        row = levels[self._level(trial.fidelity)]
        names = ("test_loss", "hellaswag_acc", "hellaswag_acc_norm", "hellaswag_p_right")
        return {name: float(row[name]) for name in names if row[name]}

    def fingerprint(self) -> dict[str, Any]:
        return {"data_digest": self._digest}

    def notice(self) -> str:
        n_cells = len(self._cells)
        n_all = int(np.prod([len(choices_of(self.space[name])) for name in GRID]))
        so_far = "" if n_cells == n_all else f", so far {n_cells} of {n_all} configurations"
        return f"data: real trainings of SmolLM2-135M on Alpaca, looked up{so_far}"

    def _level(self, fidelity: float) -> int:
        return _SHARES.index(expect_share(self.fidelities, fidelity))

    def _training(self, trial: Trial) -> tuple[str, list[Row]]:
        """Return the `train_seed` and the checkpoints of the training that answers a trial."""
        seeds = self._rows.get(key_of(trial.config))
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
        n_all = int(np.prod([len(choices_of(self.space[name])) for name in GRID]))
        n_replicated = sum(len(self._rows[key]) > 1 for key in self._cells)
        if n_replicated < n_all:
            raise ValueError(
                "objective.noise: expected a space whose configurations were all trained more "
                f"than once for replicates, got {n_replicated} of {n_all}; narrow objective.space"
            )

    def _declare(self) -> None:
        """Set noise, optimum and minimiser, for one goal and the cells trained so far."""
        if len(self.goals) != 1:
            return
        found: list[tuple[float, int, Config]] = []
        noise = [0.0]
        for number, key in enumerate(self._cells):
            config = dict(zip(GRID, key, strict=True))
            seeds = self._rows[key]
            drawn = seeds if self._noise == "replicates" else ["0"]
            trainings = [seeds[seed][-1] for seed in drawn]
            values = [self._value(row) for row in trainings if not row["error"]]
            if values:
                noise.append(float(np.ptp(values)))
                found.append((min(values), number, config))
        self.noise_sd = max(noise)
        if found:
            self.optimum = min(found)[0]
            self.minimisers = [config for value, _, config in found if value == self.optimum]

    def _value(self, row: Row) -> float:
        (goal,) = self.goals
        if goal == "trainable_parameters":
            return float(_PARAMETERS[row["matrices"]] * int(row["lora_rank"]))
        return float(row[goal])
