"""LoRA fine-tuning of a real language model: train on instructions, then score the model.

The hyperparameters, the published ranges and the goal HellaSwag are those of Davouse and Talbi,
"Bayesian and Partition-Based Optimization for Hyperparameter Optimization of LLM Fine-Tuning" (OLA
2025), with LitGPT's model and adapters, as in the study. There are three departures. The model is
small, there are few steps, and the items are a subset, so that an evaluation is feasible on two
cores. Adapters start at B = 0 (in the published runs, they evidently did not). By default, the loss
covers only the response; LitGPT's Alpaca module, which the study used, does not mask the prompt
(`mask_prompt: false`).

A fidelity is a share of the steps of one schedule, and of the held-out items. A trial that resumes
another one continues from the state that it saved in the run's folder (`states.py`).
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import torch

from objectives import checkpoint, expected
from objectives.deployment import Deployment
from objectives.lora_ft import devices, measures
from objectives.lora_ft.amounts import Amounts, AmountSettings, fidelities_of
from objectives.lora_ft.data import load
from objectives.lora_ft.deployed import deployment
from objectives.lora_ft.judgement import (
    ALWAYS,
    HELLASWAG,
    Judgement,
    expect_questions,
    scored,
)
from objectives.lora_ft.measures import Measured
from objectives.lora_ft.model import Adapters, trainable_parameters
from objectives.lora_ft.settings import (
    TARGETS,
    Hyperparameters,
    default_of,
    expect_parameters,
    expect_share,
    hyperparameters,
    matrices_of,
)
from objectives.lora_ft.states import Segment, States, continued
from objectives.lora_ft.team import Team, team
from objectives.lora_ft.training import Diverged, Finetuning, start_seed
from objectives.lora_ft.untrained import untrained
from objectives.lora_ft.workbench import Workbench
from objectives.objective import Objective, Outlook, Resources
from objectives.override import with_pinned
from objectives.space import build_space, check
from objectives.trial import Evaluation, Trial
from objectives.wanted import Bounds, Names


class LoraFineTuning(Objective):
    """Fine-tunes one model per configuration; the base weights are loaded once.

    Evaluations may share a host. They do not change each other's values, but each takes `threads`
    threads and its own memory. `conf/objective/route/in_process.yaml` describes the settings, of
    which those of `Amounts` are passed on.

    Raises:
        ValueError: a setting, the data or the model cannot be used.
    """

    version = 2
    gpus_setting = "gpus"

    def __init__(
        self,
        *,
        space: Mapping[str, Mapping[str, Any]],
        model: str,
        data: str,
        target: str,
        goals: Names,
        limits: Bounds,
        matrices: Sequence[str] | str,
        batch: int,
        lora_dropout: float,
        weight_decay: float,
        heldout_items_least: int,
        test_every: int,
        device: str,
        gpus: int | None,
        precision: str,
        threads: int,
        train_seed: int,
        **amounts: Unpack[AmountSettings],
    ) -> None:
        self.space = build_space(with_pinned(space))
        matrices_of("objective.matrices", matrices)
        chosen = Amounts(**amounts)
        self._plan = chosen.plan(batch)
        self._sizes = chosen.sizes(self._plan.instructions)
        self._fixed = {
            "matrices": matrices,
            "batch": batch,
            "lora_dropout": expected.number(
                "objective.lora_dropout", lora_dropout, least=0, below=1
            ),
            "weight_decay": expected.number("objective.weight_decay", weight_decay, least=0),
        }
        expect_parameters(self.space, self._fixed)
        expected.one_of("objective.target", target, list(TARGETS))
        self._data = load(data)
        questions = scored(*HELLASWAG) if self._data.hellaswag else {}
        if not questions and goals is None:
            expect_questions(data, target)
        measured = {**ALWAYS, **questions}
        self._judgement = Judgement.of(target, goals, limits, measured)
        self.goals, self.limits = self._judgement.wanted.goals, self._judgement.wanted.limits
        self._least_items = expected.whole("objective.heldout_items_least", heldout_items_least, 1)
        self._test_every = expected.whole("objective.test_every", test_every, 0)
        self._threads = expected.whole("objective.threads", threads, 1)
        self._train_seed = expected.whole("objective.train_seed", train_seed, 0)
        self._device = devices.kind(device, gpus)
        self._precision = devices.precision(precision, self._device)
        self.default = default_of(self.space)
        self.fidelities = fidelities_of(self._plan, self.space, batch)
        self.resources = Resources(gpus=int(self._device == "cuda"), cores=threads)
        self._model = model
        self._checkpoint = checkpoint.find(model)
        self._workbench: Workbench | None = None
        self._before: Measured | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Exclude what is loaded from the pickle; another process loads its own."""
        return {**self.__dict__, "_workbench": None}

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        share = expect_share(self.fidelities, trial.fidelity)
        states = States(self.folder)
        recipe = self._recipe(trial, share, states)
        with team(self._threads, torch.device(self._device)) as workers:
            bench = self._load()
            before = self._untrained(workers, bench, trial) if share == 1 else Measured()
            start = time.perf_counter()
            try:
                run = self._trained(workers, recipe, trial.resumes, states)
                trained = time.perf_counter()
                measured = self._score(workers, run, bench, share)
            except Diverged as reason:
                return Evaluation(None, time.perf_counter() - start, error=str(reason))
            states.leave(trial, recipe, run.state() if trial.fidelity < 1 else None)
            ended = time.perf_counter()
            metrics = measured.metrics
            if self._test_every and trial.id % self._test_every == 0:
                metrics |= measures.test(workers, run.model, bench)
        metrics |= before.metrics
        metrics["train_loss"] = float(np.mean(run.losses))
        metrics["train_s"] = trained - start
        metrics["score_s"] = ended - trained
        metrics["trainable_parameters"] = float(trainable_parameters(run.model))
        value = self._judgement.value(metrics)
        return Evaluation(value, ended - start, metrics, items=measured.items | before.items)

    def test(self, trial: Trial) -> dict[str, float]:
        """Train the configuration again and measure the test metrics, which are never optimised.

        The run has ended then, so its checkpoints are deleted.
        """
        check(self.space, trial.config)
        states = States(self.folder)
        recipe = self._recipe(trial, expect_share(self.fidelities, trial.fidelity), states)
        with team(self._threads, torch.device(self._device)) as workers:
            bench = self._load()
            try:
                run = self._trained(workers, recipe, trial.resumes, states)
                metrics = measures.test(workers, run.model, bench)
            except Diverged:
                metrics = {}
        states.clear()
        return metrics

    def outlook(self) -> Outlook:
        return Outlook(faults_here=devices.missing(self._device))

    def deployment(self) -> Deployment:
        plan, sizes = self._plan, self._sizes
        return deployment(
            self.space,
            self._fixed,
            model=self._model,
            data=["--data=JSON", "--data.json_path=DATA"],
            precision=self._precision,
            instructions=plan.instructions,
            max_length=sizes.max_length,
            mask_prompt=sizes.mask_prompt,
            warmup_steps=plan.warmup_steps,
            schedule=plan.schedule,
            min_lr=plan.min_lr,
            betas=plan.betas,
            clip_norm=plan.clip_norm,
            seed=self._train_seed,
        )

    def fingerprint(self) -> dict[str, Any]:
        return {
            "data": self._data.source,
            "data_digest": self._data.digest,
            "model": self._checkpoint.name,
            "model_digest": self._checkpoint.digest,
            "device": self._device,
            "precision": self._precision,
        }

    def notice(self) -> str:
        return (
            f"data: {self._data.source} ({self._data.digest[:8]}); model: {self._checkpoint.note}; "
            f"{self._precision} on {self._device}"
        )

    def begun(self, chosen: Hyperparameters) -> Finetuning:
        """Return a training of the base model before its first step."""
        adapters = Adapters(
            rank=chosen.rank,
            alpha=chosen.alpha,
            dropout=chosen.dropout,
            matrices=chosen.matrices,
            seed=start_seed(self._train_seed),
        )
        bench = self._load()
        model = bench.base.adapted(adapters)
        return Finetuning(model, self._plan, chosen, bench.training, self._train_seed)

    def _load(self) -> Workbench:
        if self._workbench is None:
            self._workbench = Workbench(
                self._checkpoint.folder(),
                self._data,
                self._sizes,
                devices.take(self._device),
                self._precision,
            )
        return self._workbench

    def _recipe(self, trial: Trial, share: float, states: States) -> list[Segment]:
        batch = hyperparameters(trial.config, self._fixed).batch
        return continued(states, trial, round(share * self._plan.instructions / batch))

    def _trained(
        self, workers: Team, recipe: list[Segment], resumes: int | None, states: States
    ) -> Finetuning:
        """Train by a recipe, starting from the state of the resumed trial if there is one."""
        state = None if resumes is None else states.state(resumes)
        parts = [(hyperparameters(part.config, self._fixed), part.until) for part in recipe]
        run = self.begun(parts[0][0])
        run.follow(workers, parts, state)
        return run

    def _score(self, workers: Team, run: Finetuning, bench: Workbench, share: float) -> Measured:
        n_items = max(self._least_items, math.ceil(share * len(bench.heldout) - 1e-9))
        asked = bool(self._judgement.metrics & set(HELLASWAG))
        return measures.selection(workers, run.model, bench, n_items, asked)

    def _untrained(self, workers: Team, bench: Workbench, trial: Trial) -> Measured:
        """Return the scores of the untrained model, which are the same for every configuration."""
        if self._before is None:
            run = self.begun(hyperparameters(trial.config, self._fixed))
            depends_on = {
                **self.fingerprint(),
                "sizes": vars(self._sizes),
                "metrics": sorted(self._judgement.metrics),
                "torch": torch.__version__,
            }
            found = untrained(depends_on, lambda: self._score(workers, run, bench, 1.0))
            self._before = found.untrained(self._judgement.metrics)
        return self._before
