"""LoRA fine-tuning by LitGPT's own command lines: the route of the published study.

Davouse and Talbi, "Bayesian and Partition-Based Optimization for Hyperparameter Optimization of
LLM Fine-Tuning" (OLA 2025). A trial runs `finetune_lora` and then `evaluate` (`command_lines.py`),
each in its own process group with a time limit. There are two departures. The tools are started by
`launch.py`, which refuses to train adapters that do not start at B = 0 (in the published runs, they
evidently did not). Integers are drawn and not truncated from real numbers.
"""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

from objectives import checkpoint, child, expected
from objectives.cache import cache_folder
from objectives.deployment import Deployment
from objectives.lora_ft import cli_results, command_lines
from objectives.lora_ft.cli_data import source_of
from objectives.lora_ft.cli_results import Unusable
from objectives.lora_ft.command_lines import Training, TrainingSettings
from objectives.lora_ft.deployed import deployment
from objectives.lora_ft.judgement import ALWAYS, Judgement, expect_questions, scored
from objectives.lora_ft.settings import (
    default_of,
    expect_parameters,
    expect_share,
)
from objectives.lora_ft.trial_folder import TrialFolders
from objectives.objective import Objective, Resources
from objectives.override import with_pinned
from objectives.space import build_space, check
from objectives.trial import Config, Evaluation, Fidelities, Trial
from objectives.wanted import Bounds, Names

LAUNCHER = (sys.executable, "-m", "objectives.lora_ft.launch")
_PROJECT = Path(__file__).parents[2]
_TARGETS = ("accuracy", "accuracy_norm", "heldout_loss")
_RANK_VARIABLES = ("LOCAL_RANK", "RANK", "GLOBAL_RANK", "WORLD_SIZE", "NODE_RANK", "GROUP_RANK")
# Otherwise Lightning takes the number of processes from the cluster's job, not from --devices.
_CLUSTERS = ("SLURM_", "TORCHELASTIC_", "PMI_", "PMIX_", "OMPI_", "LSB_", "JSM_")


class LitGPTCommandLines(Objective):
    """Fine-tunes and scores in child processes, which have the machine's GPUs to themselves.

    The settings are described in `conf/objective/route/litgpt_cli.yaml`; those of `Training` are
    passed on. An evaluation fails, with the tool's last output as the reason, if a tool exits with
    a status other than 0 or exceeds its time limit, or if a result is missing or a loss is not a
    number.

    Raises:
        ValueError: a setting, the data or the model cannot be used.
    """

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
        matrices: Sequence[str],
        heldout_items: int | None,
        hellaswag_items: int | None,
        mmlu_items: int | None,
        test_every: int,
        score_batch: int,
        gpus: int | None,
        train_timeout_s: float,
        score_timeout_s: float,
        folder: str | None,
        data_seed: int,
        **training: Unpack[TrainingSettings],
    ) -> None:
        self.space = build_space(with_pinned(space))
        expect_parameters(self.space)
        expected.one_of("objective.target", target, _TARGETS)
        self._test_every = expected.whole("objective.test_every", test_every, 0)
        self._score_batch = expected.whole("objective.score_batch", score_batch, 1)
        self._train_timeout_s = expected.number(
            "objective.train_timeout_s", train_timeout_s, above=0
        )
        self._score_timeout_s = expected.number(
            "objective.score_timeout_s", score_timeout_s, above=0
        )
        if gpus is not None:
            training["devices"] = expected.whole("gpus", gpus, 1)
        self._training = Training(tuple(matrices), **training)
        devices = self._training.devices
        known = devices if gpus is not None or devices > 1 else 0  # one device may be a CPU
        self.resources = Resources(gpus=known, whole_host=True)
        if self._training.max_steps is not None:
            self.fidelities = Fidelities(self._training.shares)
        self.default = default_of(self.space)
        expected.whole("objective.data_seed", data_seed, 0)
        sizes = {
            "heldout_items": heldout_items,
            "hellaswag_items": hellaswag_items,
            "mmlu_items": mmlu_items,
        }
        for name, number in sizes.items():
            expected.null_or(expected.whole, f"objective.{name}", number, 1)
        self._model = model
        self._checkpoint = checkpoint.find(model)
        self._source = source_of(data, sizes, data_seed)
        if not self._source.tasks and goals is None:
            expect_questions(data, target)
        measured = {**ALWAYS, **scored(*self._accuracies)}
        self._judgement = Judgement.of(target, goals, limits, measured)
        self.goals, self.limits = self._judgement.wanted.goals, self._judgement.wanted.limits
        root = Path(folder).expanduser() if folder else cache_folder() / "litgpt_cli"
        self._folders = TrialFolders(root)

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        expect_share(self.fidelities, trial.fidelity)
        tested = self._test_every > 0 and trial.id % self._test_every == 0
        tasks = self._source.tasks if tested else self._source.tasks[:1]
        start = time.perf_counter()
        try:
            metrics = self._measure(trial, tasks)
        except (child.Failed, Unusable) as reason:
            return Evaluation(None, time.perf_counter() - start, error=str(reason))
        return Evaluation(self._judgement.value(metrics), time.perf_counter() - start, metrics)

    def test(self, trial: Trial) -> dict[str, float]:
        """Train the configuration again and score it on MMLU, unless every evaluation does so.

        Without questions, the loss on the test instructions is measured instead.
        """
        check(self.space, trial.config)
        try:
            if not self._source.tasks:
                return {"test_loss": self._measure(trial, [], test=True)["heldout_loss"]}
            if self._test_every == 1:
                return {}
            return {"mmlu_acc": self._measure(trial, ["mmlu"])["mmlu_acc"]}
        except (child.Failed, Unusable):
            return {}

    def deployment(self) -> Deployment:
        training = self._training
        steps = training.max_steps
        quantize = [] if training.quantize is None else [f"--quantize={training.quantize}"]
        return deployment(
            self.space,
            {"batch": training.batch, "matrices": training.matrices},
            model=self._model,
            data=self._source.flags(Path("DATA")),
            precision=training.precision,
            devices=training.devices,
            micro_batch=training.micro_batch,
            epochs=training.epochs,
            instructions=None if steps is None else steps * training.batch,
            max_length=training.max_length,
            mask_prompt=training.mask_prompt,
            warmup_steps=training.warmup_steps,
            schedule=training.schedule,
            min_lr=training.min_lr,
            betas=training.betas,
            seed=training.train_seed,
            more=[f"--eval.interval={training.validate_every}", *quantize],
        )

    def fingerprint(self) -> dict[str, Any]:
        return {
            **self._source.fingerprint(),
            "model": self._checkpoint.name,
            "model_digest": self._checkpoint.digest,
            "litgpt": version("litgpt"),
            "lm_eval": version("lm_eval"),
        }

    def notice(self) -> str:
        return (
            f"data: {self._source.name}; model: {self._checkpoint.note}; "
            f"{self._training.precision} by LitGPT's command lines"
        )

    @property
    def _accuracies(self) -> list[str]:
        """The accuracies that every evaluation measures."""
        if not self._source.tasks:
            return []
        always = ["hellaswag_acc", "hellaswag_acc_norm"]
        return [*always, "mmlu_acc"] if self._test_every == 1 else always

    def _measure(self, trial: Trial, tasks: Sequence[str], test: bool = False) -> dict[str, float]:
        """Train and score in the trial's own folder; `test` as in `Source.place`."""
        with self._folders.open(trial.id) as folder:
            trainable = float(self._trainable(trial.config))
            started = time.perf_counter()
            metrics = {**self._train(trial, folder, test), "trainable_parameters": trainable}
            trained = time.perf_counter()
            metrics |= self._score(tasks, folder) if tasks else {}
            metrics["train_s"] = trained - started
            metrics["score_s"] = time.perf_counter() - trained
            return metrics

    def _trainable(self, config: Config) -> int:
        """Return the number of parameters that LitGPT trains: of the same model, by its shapes."""
        # Imported here, as the parent process of LitGPT's tools needs no torch for anything else.
        from objectives.lora_ft.model import Adapters, on_no_device, trainable_parameters

        rank, alpha = int(config["lora_rank"]), int(config["lora_alpha"])
        adapters = Adapters(rank, alpha, 0.0, self._training.matrices, seed=0)
        file = self._checkpoint.folder() / "model_config.yaml"
        return trainable_parameters(on_no_device(file, adapters))

    def _train(self, trial: Trial, folder: Path, test: bool) -> dict[str, float]:
        whole_steps = self._training.max_steps
        n_steps = None if whole_steps is None else round(trial.fidelity * whole_steps)
        # All instructions of the schedule at every share, because LitGPT's order depends on them.
        n_items = None if whole_steps is None else whole_steps * self._training.batch
        self._source.place(folder, n_items, test)
        arguments = command_lines.finetune(
            self._training,
            trial.config,
            self._checkpoint.folder().resolve(),
            self._source.flags(folder),
            n_steps,
            folder / "checkpoint",
        )
        self._run(arguments, folder, self._train_timeout_s)
        written = folder / "checkpoint" / "logs" / "csv" / "version_0" / "metrics.csv"
        if written.exists():
            shutil.copyfile(written, folder / "metrics.csv")
        return cli_results.losses(folder / "metrics.csv")

    def _score(self, tasks: Sequence[str], folder: Path) -> dict[str, float]:
        arguments = command_lines.evaluate(
            folder / "checkpoint" / "final",
            tasks,
            self._score_batch,
            self._training.precision,
            folder / "converted",
            folder / "results.json",
        )
        self._run(arguments, folder, self._score_timeout_s)
        return cli_results.scores(folder / "results.json", tasks)

    def _run(self, arguments: list[str], folder: Path, timeout_s: float) -> None:
        with (folder / "commands.txt").open("a") as file:
            file.write(shlex.join(["litgpt", *arguments]) + "\n")
        paths = [str(_PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
        kept = {name: x for name, x in os.environ.items() if not _tells_of_ranks(name)}
        child.run(
            [*LAUNCHER, *arguments],
            name=f"litgpt {arguments[0]}",
            folder=folder,
            output=folder / f"{arguments[0]}.txt",
            environment={
                **kept,
                **self._source.environment(folder),
                "PYTHONPATH": os.pathsep.join(paths),
            },
            timeout_s=timeout_s,
        )


def _tells_of_ranks(name: str) -> bool:
    return name in _RANK_VARIABLES or name.startswith(_CLUSTERS)
