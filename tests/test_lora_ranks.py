"""LitGPT's real command line on two CPU ranks, inside a cluster's job of one task."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

import tiny_llama
from experiments.running.composing import prepare
from objectives import checkpoint
from objectives.trial import Config, Trial
from processes import ROOT

CONFIG: Config = {
    "lora_rank": 2,
    "lora_alpha": 4,
    "lora_dropout": 0.0,
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
}


def _data(folder: Path) -> Path:
    """Write four instructions, one question in HellaSwag's form and one for each MMLU subject."""
    shipped = ROOT / "objectives/lora_ft/shipped"
    folder.mkdir()
    for name, lines in (("alpaca", 20), ("hellaswag", 2)):
        (source,) = shipped.glob(f"{name}*.jsonl")
        text = "".join(source.read_text().splitlines(keepends=True)[:lines])
        (folder / source.name).write_text(text)
    row = {"question": "q", "choices": ["a", "b", "c", "d"], "answer": 0}
    subjects = [json.dumps({**row, "subject": f"subject_{i}"}) for i in range(57)]
    (folder / "mmlu_test.jsonl").write_text("\n".join(subjects) + "\n")
    return folder


# Two minutes: LitGPT starts and trains in two processes. In `make test`, test_lora_cli.py checks
# that no variable of a job reaches them, and LitGPT's own parser reads every flag.
@pytest.mark.slow
def test_two_devices_are_two_processes_whatever_the_job_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_llama.write(tmp_path / "tiny-llama", vocabulary=49152)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(checkpoint.find(checkpoint.SMOLLM2).folder() / name, model / name)
    for name, value in {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "job", "SLURM_JOB_ID": "7"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    overrides = [
        "objective=lora_ft",
        "objective.route=litgpt_cli",
        f"objective.model={model}",
        f"objective.data={_data(tmp_path / 'data')}",
        f"objective.folder={tmp_path / 'trials'}",
        "objective.devices=2",
        "objective.batch=2",
        "objective.max_steps=2",
        "objective.warmup_steps=1",
        "objective.max_length=32",
        "objective.precision=32-true",
        "objective.score_timeout_s=1",  # the random model has no tokens that could be scored
    ]
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        settings: Any = compose("config", overrides=prepare(overrides)).objective
    instantiate(settings, _convert_="all").evaluate(Trial(0, CONFIG))
    (folder,) = (tmp_path / "trials").iterdir()
    said = (folder / "finetune_lora.txt").read_text()
    assert "adapters: B = 0 on 2 of 2 devices" in said, said[-2000:]
