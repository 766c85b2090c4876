"""LoRA fine-tuning by command lines: the commands, their failures, and their end.

If the tools themselves do not matter, a substitute replaces them: a few lines of Python that print,
write and exit as specified. `python -m objectives.lora_ft.launch` is LitGPT's real command line.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import litgpt
import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hydra.utils import instantiate
from litgpt.utils import save_config
from omegaconf import OmegaConf

from experiments.running.composing import prepare
from objectives import checkpoint
from objectives.lora_ft import command_lines, litgpt_cli, task_files
from objectives.lora_ft.command_lines import Training
from objectives.lora_ft.data import Question
from objectives.lora_ft.litgpt_cli import LitGPTCommandLines
from objectives.lora_ft.trial_folder import TrialFolders
from objectives.trial import Config, Goal, Trial, keeps
from optimizers.goal_targets import goal_targets
from processes import ROOT, finish

CONFIG: Config = {
    "lora_rank": 14,
    "lora_alpha": 2,
    "lora_dropout": 0.25,
    "learning_rate": 1e-10,
    "weight_decay": 0.01,
}
STAND_IN = """
import csv, json, pathlib, sys
flags = dict(a[2:].split("=", 1) for a in sys.argv[1:] if a.startswith("--"))
if sys.argv[1] == "finetune_lora":
    folder = pathlib.Path(flags["out_dir"], "logs", "csv", "version_0")
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("loss,val_loss\\n3.0,\\n2.0,\\n,2.25\\n")
    pathlib.Path(flags["out_dir"], "final").mkdir()
    pathlib.Path(flags["out_dir"], "final", "lit_model.pth").write_text("large")
else:
    found = {"hellaswag": {"acc,none": 0.5, "acc_norm,none": 0.625}, "mmlu": {"acc,none": 0.25}}
    results = {task: found[task] for task in flags["tasks"].split(",")}
    pathlib.Path(flags["save_filepath"]).write_text(json.dumps({"results": results}))
"""


def _settings(*overrides: str) -> Any:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        arguments = ["objective=lora_ft", "objective.route=litgpt_cli", *overrides]
        return compose("config", overrides=prepare(arguments)).objective


def _checkpoint(folder: Path) -> Path:
    """Make a folder that looks like a LitGPT checkpoint."""
    folder.mkdir()
    for name in ("lit_model.pth", "tokenizer.json"):
        (folder / name).write_text("")
    save_config(litgpt.Config.from_name("pythia-14m"), folder)
    return folder


def _objective(tmp_path: Path, *overrides: str) -> LitGPTCommandLines:
    model = _checkpoint(tmp_path / "model")
    places = [f"objective.model={model}", f"objective.folder={tmp_path / 'trials'}"]
    built: LitGPTCommandLines = instantiate(_settings(*places, *overrides), _convert_="all")
    return built


def _act(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Replace LitGPT's command line by a substitute."""
    monkeypatch.setattr(litgpt_cli, "LAUNCHER", (sys.executable, "-c", program))


def _logs(tmp_path: Path, name: str) -> str:
    (folder,) = (tmp_path / "trials").iterdir()
    return (folder / name).read_text()


def _training() -> Training:
    settings = {**_settings()}
    return Training(
        **{name: settings[name] for name in Training.__dataclass_fields__ if name != "matrices"},
        matrices=tuple(settings["matrices"]),
    )


def test_by_default_the_study_s_training_is_run() -> None:
    arguments = command_lines.finetune(
        _training(), CONFIG, Path("/llama"), ["--data=Alpaca"], None, Path("/out")
    )
    # The study's own command line: --lora_query --lora_key --lora_value --lora_head, bf16-true,
    # 100 warm-up steps, AdamW betas (0.9, 0.999), global batch 16, micro-batch 1, seed 1337.
    assert arguments == [
        "finetune_lora",
        "/llama",
        "--out_dir=/out",
        "--precision=bf16-true",
        "--devices=1",
        "--lora_r=14",
        "--lora_alpha=2",
        "--lora_dropout=0.25",
        "--lora_query=true",
        "--lora_key=true",
        "--lora_value=true",
        "--lora_projection=false",
        "--lora_mlp=false",
        "--lora_head=true",
        "--data=Alpaca",
        "--data.mask_prompt=false",
        "--train.epochs=1",
        "--train.lr_warmup_steps=100",
        "--train.global_batch_size=16",
        "--train.micro_batch_size=1",
        "--eval.interval=100",
        '--optimizer={"class_path": "torch.optim.AdamW", "init_args": '
        '{"lr": 1e-10, "weight_decay": 0.01, "betas": [0.9, 0.999]}}',
        "--seed=1337",
    ]


def test_a_checkpoint_is_scored_on_the_tasks_asked_for() -> None:
    arguments = command_lines.evaluate(
        Path("/in"), ["hellaswag", "mmlu"], 8, "bf16-true", Path("/hf"), Path("/results.json")
    )
    assert arguments == [
        "evaluate",
        "/in",
        "--tasks=hellaswag,mmlu",
        "--batch_size=8",
        "--dtype=bfloat16",
        "--out_dir=/hf",
        "--save_filepath=/results.json",
    ]


def test_litgpt_itself_understands_every_flag_as_meant() -> None:
    arguments = command_lines.finetune(
        _training(), CONFIG, Path("/llama"), ["--data=Alpaca"], 3000, Path("/out")
    )
    # LitGPT's own parser returns the parsed arguments instead of training.
    program = "from litgpt.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, "--print_config"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    read: Any = OmegaConf.create(done.stdout)
    assert read.optimizer.init_args.lr == 1e-10
    assert read.optimizer.init_args.betas == [0.9, 0.999]
    assert (read.train.max_steps, read.train.epochs, read.train.lr_warmup_steps) == (3000, 1, 100)
    assert (read.lora_head, read.lora_projection, read.seed) == (True, False, 1337)


def test_a_trial_is_training_and_scoring_and_leaves_its_logs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _act(monkeypatch, STAND_IN)
    evaluation = _objective(tmp_path).evaluate(Trial(3, CONFIG))
    assert evaluation.error is None and evaluation.value == 0.5
    metrics = {k: v for k, v in evaluation.metrics.items() if not k.endswith("_s")}
    assert metrics == {
        "train_loss": 2.5,
        "heldout_loss": 2.25,
        "hellaswag_acc": 0.5,
        "hellaswag_acc_norm": 0.625,
        "mmlu_acc": 0.25,
        # Rank 14. Each of 6 blocks: 3 x 128 inputs and 384 outputs of query, key and value; once
        # the head: 128 inputs and a vocabulary of 50,304.
        "trainable_parameters": 14 * (6 * (3 * 128 + 384) + 128 + 50_304),
    }
    (folder,) = (tmp_path / "trials").iterdir()
    assert folder.name.startswith("trial-0003-")
    assert sorted(path.name for path in folder.iterdir()) == [
        "commands.txt",
        "evaluate.txt",
        "finetune_lora.txt",
        "metrics.csv",
        "results.json",
    ]
    commands = _logs(tmp_path, "commands.txt").splitlines()
    assert [line.split()[:2] for line in commands] == [
        ["litgpt", "finetune_lora"],
        ["litgpt", "evaluate"],
    ]


def test_goals_and_limits_are_judged_by_the_metrics_and_a_failure_is_the_worst_in_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = "objective.goals={mmlu_acc: null, trainable_parameters: 1e6}"
    objective = _objective(tmp_path, chosen, "objective.limits={heldout_loss: 2}")
    assert objective.goals == {
        "mmlu_acc": Goal(minimise=False, reference=0.25),
        "trainable_parameters": Goal(minimise=True, reference=1e6),
    }
    told = []
    for id, program in enumerate((STAND_IN, "import sys; sys.exit(3)")):
        _act(monkeypatch, program)
        told.append(objective.evaluate(Trial(id, CONFIG)))
    kept, failed = told
    assert kept.error is None and kept.value is None
    assert not keeps(objective.limits, kept.metrics)  # 2.25 nats: infeasible, and not failed
    assert failed.error is not None and failed.value is None
    targets = goal_targets(told, objective.goals)
    assert targets[1].tolist() == targets[0].tolist()


def test_mmlu_is_scored_at_every_kth_trial_or_at_the_incumbent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _act(monkeypatch, STAND_IN)
    objective = _objective(tmp_path, "objective.test_every=2")
    assert "mmlu_acc" in objective.evaluate(Trial(2, CONFIG)).metrics
    assert "mmlu_acc" not in objective.evaluate(Trial(3, CONFIG)).metrics
    assert objective.test(Trial(3, CONFIG)) == {"mmlu_acc": 0.25}


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; print('CUDA out of memory'); sys.exit(3)", "exit status 3: CUDA out of mem"),
        ("import os; os.kill(os.getpid(), 11)", "signal SIGSEGV: it printed nothing"),
        ("print('done')", "left no metrics that can be read"),
        (STAND_IN.replace("3.0", "nan"), "training loss is nan at iteration 1 of 2"),
        (STAND_IN.replace("2.25", "nan"), "validation loss is nan"),
        (STAND_IN.replace('"results": results', '"results": {}'), "left None as hellaswag's acc"),
        (STAND_IN.replace("json.dumps", "str"), "left no results that can be read"),
        (STAND_IN + "    sys.exit('lm_eval: no hub')", "litgpt evaluate ended with exit status 1"),
        ("import time; print('step 1', flush=True); time.sleep(600)", "after 2 s: step 1"),
    ],
)
def test_what_goes_wrong_is_a_failed_evaluation_with_the_tool_s_last_words(
    program: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _act(monkeypatch, program)
    limits = ["objective.train_timeout_s=2", "objective.score_timeout_s=2"]
    failed = _objective(tmp_path, *limits).evaluate(Trial(0, CONFIG))
    assert failed.value is None and failed.error is not None
    assert words in failed.error and "\n" not in failed.error


def test_the_weights_that_a_killed_run_left_go_with_the_next_trial(tmp_path: Path) -> None:
    abandoned = tmp_path / "trial-0000-x"
    (abandoned / "checkpoint").mkdir(parents=True)
    for name in ("in_use", "finetune_lora.txt"):
        (abandoned / name).write_text("")
    folders = TrialFolders(tmp_path)
    with folders.open(1) as used, folders.open(2):
        assert (used / "in_use").exists()  # its process holds it, so it was not deleted
        assert [path.name for path in abandoned.iterdir()] == ["finetune_lora.txt"]


ENVIRONMENT = """
import json, os, pathlib, sys
flags = dict(a[2:].split("=", 1) for a in sys.argv[1:] if a.startswith("--"))
pathlib.Path(flags["out_dir"]).parent.joinpath("results.json").write_text(json.dumps([*os.environ]))
sys.exit(1)
"""


def test_a_cluster_s_job_says_nothing_to_the_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lightning would start as many processes as the job has tasks, not as many as it has devices.
    told = ("SLURM_NTASKS", "SLURM_JOB_NAME", "SLURM_PROCID", "WORLD_SIZE", "OMPI_COMM_WORLD_SIZE")
    for name in told:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    _act(monkeypatch, ENVIRONMENT)
    _objective(tmp_path).evaluate(Trial(0, CONFIG))
    seen = json.loads(_logs(tmp_path, "results.json"))
    assert not set(told) & set(seen)
    assert {"CUDA_VISIBLE_DEVICES", "PATH"} <= set(seen)


def test_a_share_trains_on_the_same_instructions_for_fewer_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _act(monkeypatch, STAND_IN)
    objective = _objective(tmp_path, "objective.max_steps=300")
    assert objective.fidelities is not None and 1 / 3 in objective.fidelities.grid
    objective.evaluate(Trial(0, CONFIG, 1 / 3))
    command = _logs(tmp_path, "commands.txt").splitlines()[0]
    assert "--train.max_steps=100 " in command and "--tuneoff_schedule_steps=300" in command
    (tmp_path / "other").mkdir()
    whole_epochs = _objective(tmp_path / "other")
    assert whole_epochs.fidelities is None
    with pytest.raises(ValueError, match="fidelity: expected one of 1, got 0.5"):
        whole_epochs.evaluate(Trial(0, CONFIG, 0.5))


def test_betas_and_quantised_weights_reach_litgpt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    changed = replace(_training(), betas=[0.8, 0.95], quantize="bnb.nf4")
    arguments = command_lines.finetune(changed, CONFIG, Path("/a"), [], None, Path("/out"))
    assert "--quantize=bnb.nf4" in arguments
    assert [a for a in arguments if '"betas": [0.8, 0.95]' in a]


def test_mmlu_questions_come_back_as_they_were_asked(tmp_path: Path) -> None:
    query = "about law.\n\nWhich?\nA. one\nB. two\n B. more\nC. \nD. four\nAnswer:"
    task_files.mmlu(tmp_path, [Question(query, ("A", "B", "C", "D"), 2, "law")])
    row = json.loads((tmp_path / "cais/mmlu/law/test.jsonl").read_text())
    assert row["question"] == "Which?" and row["answer"] == 2
    assert row["choices"] == ["one", "two\n B. more", "", "four"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "objective.batch=6 objective.devices=4",
            "objective.batch: expected a multiple of devices",
        ),
        ("objective.max_steps=100", "objective.warmup_steps: expected fewer than max_steps=100"),
        ("objective.target=p_right", "objective.target: expected one of"),
        ("objective.precision=bf16", "objective.precision: expected one of"),
        ("objective.hellaswag_items=64", "objective.hellaswag_items: expected null where data="),
        ("objective.data=shipped", "objective.mmlu_items: expected questions of all 57 subjects"),
        (
            "objective.train_timeout_s=0",
            "objective.train_timeout_s: expected a finite number above 0",
        ),
        ("objective.quantize=int4", "objective.quantize: expected one of"),
        ("objective.quantize=bnb.nf4 objective.devices=4", "objective.quantize: expected null on"),
        ("objective.schedule=linear", "objective.schedule: expected one of"),
        ("objective.betas=[0.9]", "objective.betas: expected two numbers"),
        (
            "objective.space.lora_alpha.type=float objective.space.lora_rank.type=float",
            "objective.space.lora_alpha.type: expected int, got float",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(setting: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(HydraException) as raised:
        _objective(tmp_path, *setting.split())
    assert words in str(raised.value)


def test_a_wrong_route_is_one_line() -> None:
    wrong = finish("optimizer=lhs", "objective=lora_ft", "objective.route=remote")
    assert wrong.returncode == 2
    assert "expected one of in_process, litgpt_cli, got remote" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1


def test_a_known_model_is_found_where_litgpt_downloads_it_or_is_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="run `litgpt download meta-llama/Llama-3.2-1B`") as raised:
        checkpoint.find("llama_3_2_1b")
    assert str(tmp_path / "checkpoints/meta-llama/Llama-3.2-1B") in str(raised.value)
    (tmp_path / "checkpoints/meta-llama").mkdir(parents=True)
    made = _checkpoint(tmp_path / "checkpoints/meta-llama/Llama-3.2-1B")
    assert checkpoint.find("llama_3_2_1b").folder() == made


def test_the_published_study_is_this_route_on_four_devices() -> None:
    study: Any = OmegaConf.load(ROOT / "conf/experiment/published_study.yaml")
    (entry,) = study.objectives
    name, *overrides = entry.split()
    settings = _settings(*overrides)
    assert name == "lora_ft" and settings.devices == 4 and study.budget == 50
    assert settings._target_ == "objectives.lora_ft.litgpt_cli.LitGPTCommandLines"


def _file_of_instructions(path: Path, n: int) -> Path:
    rows = [{"instruction": f"Say {i}.", "output": f"{i}"} for i in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_one_file_of_instructions_is_trained_on_tuned_for_and_tested_on_without_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "parts.jsonl"  # what each training saw
    see = f"""
import sys
if sys.argv[1] != "finetune_lora": sys.exit(3)
place = pathlib.Path(flags["data.json_path"])
seen = [[row["output"] for row in json.loads((place / f"{{name}}.json").read_text())]
        for name in ("train", "val")]
pathlib.Path({str(parts)!r}).open("a").write(json.dumps(seen) + "\\n")
"""
    lines = STAND_IN.splitlines(keepends=True)
    _act(monkeypatch, "".join([*lines[:3], see, *lines[3:]]))
    data = _file_of_instructions(tmp_path / "mine.jsonl", 40)
    words = [f"objective.data={data}", "objective.target=heldout_loss", "objective.heldout_items=3"]
    objective = _objective(tmp_path, *words)
    evaluation = objective.evaluate(Trial(0, CONFIG))
    assert evaluation.error is None and evaluation.value == 2.25
    assert not any("acc" in name for name in evaluation.metrics)
    assert objective.test(Trial(0, CONFIG)) == {"test_loss": 2.25}
    tuned, tested = map(json.loads, parts.read_text().splitlines())
    assert tuned[0] == tested[0] and len(tuned[1]) == len(tested[1]) == 3
    # 40 instructions: 6 are held out, and nothing is in two of the parts.
    assert len({*tuned[0], *tuned[1], *tested[1]}) == 34 + 3 + 3


@pytest.mark.parametrize(
    ("n", "word", "expected"),
    [
        (40, "objective.target=accuracy", "expected heldout_loss, as .*jsonl holds instructions"),
        (40, "objective.goals=[hellaswag_acc]", "expected different metrics of .*heldout_loss"),
        (7, "objective.target=heldout_loss", "expected at least eight different instructions"),
    ],
)
def test_what_one_file_of_instructions_cannot_do_is_refused(
    tmp_path: Path, n: int, word: str, expected: str
) -> None:
    data = _file_of_instructions(tmp_path / "mine.jsonl", n)
    with pytest.raises(HydraException, match=expected):
        _objective(tmp_path, f"objective.data={data}", word)
