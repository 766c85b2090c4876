"""LoRA fine-tuning of a real language model: train on instructions, score on HellaSwag.

The five hyperparameters, their ranges and HellaSwag as the goal are those of Davouse and Talbi,
"Bayesian and Partition-Based Optimization for Hyperparameter Optimization of LLM Fine-Tuning"
(OLA 2025), with LitGPT's model and adapters as there. Departures: a small model, a few steps and
a subset of HellaSwag, so that an evaluation fits two cores; adapters that start at B = 0 (in the
published runs they evidently did not); by default the loss is on the response alone (LitGPT's
Alpaca module, which the study used, masks no prompt: `mask_prompt: false`).
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from litgpt.lora import GPT

from objectives import checkpoint
from objectives.lora_ft import scoring
from objectives.lora_ft.data import load
from objectives.lora_ft.model import MATRICES, Adapters
from objectives.lora_ft.settings import TARGETS, expect_parameters, goal_of, one_of, whole
from objectives.lora_ft.team import Team, team
from objectives.lora_ft.training import Diverged, Schedule, train
from objectives.lora_ft.workbench import Sizes, Workbench
from objectives.objective import Objective
from objectives.space import build_space, check
from objectives.trial import Config, Evaluation, Trial


class LoraFineTuning(Objective):
    """Fine-tunes one model per configuration; the base weights are loaded once.

    Evaluations may share a host: none changes another's value, though each takes `threads`
    threads and its own memory. `conf/objective/route/in_process.yaml` describes the settings.

    Raises:
        ValueError: a setting, the data or the model cannot be used.
    """

    def __init__(
        self,
        *,
        space: Mapping[str, Mapping[str, Any]],
        model: str,
        data: str,
        target: str,
        matrices: Sequence[str],
        steps: int,
        warmup_steps: int,
        batch: int,
        max_length: int,
        mask_prompt: bool,
        hellaswag_items: int | None,
        heldout_items: int,
        mmlu_items: int | None,
        test_every: int,
        device: str,
        precision: str,
        threads: int,
        seed: int,
    ) -> None:
        self.space = build_space(space)
        expect_parameters(list(self.space))
        for name, word in (("target", target), ("device", device), ("precision", precision)):
            one_of(name, word, _CHOICES[name])
        counts = {"steps": steps, "batch": batch, "max_length": max_length, "threads": threads}
        for name, count in {**counts, "heldout_items": heldout_items}.items():
            whole(name, count, 1)
        for name, number in {"hellaswag_items": hellaswag_items, "mmlu_items": mmlu_items}.items():
            if number is not None:
                whole(name, number, 1)
        whole("test_every", test_every, 0)
        whole("seed", seed, 0)
        if not 0 <= whole("warmup_steps", warmup_steps, 0) < steps:
            raise ValueError(
                f"objective.warmup_steps: expected fewer than steps={steps}, got {warmup_steps}"
            )
        for name in [*matrices] or ["none"]:
            one_of("matrices", name, MATRICES)
        self.goals = goal_of(target)
        self._target = target
        self._matrices = tuple(matrices)
        self._test_every = test_every
        self._threads = threads
        self._seed = seed
        self._device = _device(device)
        self._precision = _precision(precision, self._device)
        self._schedule = Schedule(steps, warmup_steps, batch)
        self._sizes = Sizes(
            train_items=steps * batch,
            heldout_items=heldout_items,
            hellaswag_items=hellaswag_items,
            mmlu_items=mmlu_items,
            max_length=max_length,
            mask_prompt=mask_prompt,
            seed=seed,
        )
        self._checkpoint = checkpoint.find(model)
        self._data = load(data)
        self._workbench: Workbench | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave what is loaded behind: another process loads its own."""
        return {**self.__dict__, "_workbench": None}

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        with team(self._threads, self._device) as workers:
            bench = self._load()
            start = time.perf_counter()
            model = self.untrained(trial.config)
            try:
                train_losses = self._train(workers, model, trial)
                trained = time.perf_counter()
                metrics, items = self._score(workers, model, bench)
            except Diverged as reason:
                return Evaluation(None, time.perf_counter() - start, error=str(reason))
            scored = time.perf_counter()
            if self._test_every and trial.id % self._test_every == 0:
                metrics |= self._mmlu(workers, model, bench)
        metrics["train_loss"] = float(np.mean(train_losses))
        metrics["train_s"] = trained - start
        metrics["score_s"] = scored - trained
        metric, more_is_better = TARGETS[self._target]
        value = 1 - metrics[metric] if more_is_better else metrics[metric]
        return Evaluation(value, time.perf_counter() - start, metrics, items=items)

    def test(self, trial: Trial) -> dict[str, float]:
        """Train the configuration again and score it on MMLU, which is never optimised."""
        check(self.space, trial.config)
        with team(self._threads, self._device) as workers:
            bench = self._load()
            model = self.untrained(trial.config)
            try:
                self._train(workers, model, trial)
            except Diverged:
                return {}
            return self._mmlu(workers, model, bench)

    def fingerprint(self) -> dict[str, Any]:
        return {
            "data": self._data.source,
            "data_digest": self._data.digest,
            "model": self._checkpoint.name,
            "model_digest": self._checkpoint.digest,
            "device": self._device.type,
            "precision": self._precision,
        }

    def notice(self) -> str:
        return (
            f"data: {self._data.source} ({self._data.digest[:8]}); model: {self._checkpoint.note}; "
            f"{self._precision} on {self._device.type}"
        )

    def untrained(self, config: Config) -> GPT:
        """Return the base model with this configuration's adapters at their start."""
        adapters = Adapters(
            rank=int(config["lora_rank"]),
            alpha=int(config["lora_alpha"]),
            dropout=float(config["lora_dropout"]),
            matrices=self._matrices,
            seed=self._seed,
        )
        return self._load().base.adapted(adapters)

    def _load(self) -> Workbench:
        if self._workbench is None:
            self._workbench = Workbench(
                self._checkpoint.folder(), self._data, self._sizes, self._device, self._precision
            )
        return self._workbench

    def _train(self, workers: Team, model: GPT, trial: Trial) -> list[float]:
        return train(
            workers,
            model,
            self._load().training,
            self._schedule,
            n_steps=max(round(trial.fidelity * self._schedule.steps), 1),
            learning_rate=float(trial.config["learning_rate"]),
            weight_decay=float(trial.config["weight_decay"]),
            seed=self._seed,
        )

    def _score(
        self, workers: Team, model: GPT, bench: Workbench
    ) -> tuple[dict[str, float], dict[str, str]]:
        sums = scoring.branch_sums(workers, model, bench.hellaswag_tokens)
        heldout_sums = scoring.branch_sums(workers, model, bench.heldout)
        losses = scoring.losses(bench.heldout, heldout_sums)
        if not (np.isfinite(sums).all() and np.isfinite(losses).all()):
            raise Diverged("the trained model's log-likelihoods are not finite")
        judged = scoring.outcomes(bench.hellaswag, sums)
        metrics = {
            "hellaswag_acc": float(judged.right.mean()),
            "hellaswag_acc_norm": float(judged.right_norm.mean()),
            "hellaswag_p_right": float(judged.p_right.mean()),
            "heldout_loss": float(losses.mean()),
        }
        items = {
            "hellaswag_acc": scoring.pack_bits(judged.right),
            "hellaswag_acc_norm": scoring.pack_bits(judged.right_norm),
            "hellaswag_p_right": scoring.pack_floats(judged.p_right),
            "heldout_loss": scoring.pack_floats(losses),
        }
        return metrics, items

    def _mmlu(self, workers: Team, model: GPT, bench: Workbench) -> dict[str, float]:
        questions, tokens = bench.mmlu()
        sums = scoring.branch_sums(workers, model, tokens)
        return {"mmlu_acc": float(scoring.outcomes(questions, sums).right.mean())}


_CHOICES: dict[str, Sequence[str]] = {
    "target": list(TARGETS),
    "device": ("auto", "cpu", "cuda"),
    "precision": ("auto", "bf16", "fp32"),
}


def _device(wanted: str) -> torch.device:
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ValueError("objective.device: expected a GPU that torch can use, got none")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def _precision(wanted: str, device: torch.device) -> str:
    """Choose bfloat16 where the processor multiplies it natively; elsewhere it is slower."""
    if wanted != "auto":
        return wanted
    native = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "fp32"
