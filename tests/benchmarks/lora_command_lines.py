"""Compare our evaluation with LitGPT's and lm_eval's command lines on the same workload.

    TUNEOFF_DATA=... PYTHONPATH=. python tests/benchmarks/lora_command_lines.py

Both have the same instructions, steps, batch, adapters and precision, the same held-out
instructions for validation, and the same HellaSwag questions. The peer is `litgpt finetune_lora`
(train, validate, merge, save), then `litgpt evaluate` (convert, load, lm_eval's `hellaswag`). Times
are user and system CPU seconds of all processes, because wall times depend on other work of the
machine. The parts of our time are measured directly. Those of the peer follow from runs with two
steps (LitGPT needs one warm-up step and one more) and with one question; the remainder is start,
build, save, convert and load.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from objectives import checkpoint
from objectives.lora_ft.data import load, subset
from objectives.lora_ft.encoding import Encoder
from objectives.lora_ft.workbench import split
from objectives.trial import Trial

CONF = Path(__file__).parents[2] / "conf"
TIMEOUT_S = 3600
CONFIG: dict[str, Any] = {
    "lora_rank": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.05,
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
}


def settings() -> Any:
    with initialize_config_dir(str(CONF), version_base=None):
        return compose("config", overrides=["~optimizer", "objective=lora_ft"]).objective


def cpu_s(command: list[str], folder: Path, threads: int) -> tuple[float, str]:
    """Run a command; return its CPU seconds and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads would consume CPU time while they wait
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(CONF.parent),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, timeout=TIMEOUT_S, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, done.stdout


def ours() -> None:
    """Evaluate three times; print the CPU seconds of each, the first with loading."""
    objective = instantiate(settings(), _convert_="all")
    rows = []
    for number in range(3):
        start = time.process_time()
        metrics = objective.evaluate(Trial(number, CONFIG)).metrics
        rows.append({"cpu_s": time.process_time() - start, **metrics})
    print("\n" + json.dumps(rows))


def write_data(folder: Path, place: Path, config: Any) -> None:
    """Write the workload in the peers' formats."""
    data = load(config.data)
    encoder = Encoder(folder, 2048, config.max_length, config.mask_prompt)
    training, heldout = split(data.instructions, config.seed)
    for name, items, n in (
        ("train", training, config.steps * config.batch),
        ("val", heldout, config.heldout_items),
    ):
        used = [item for item in items if encoder.instruction(item) is not None][:n]
        (place / f"{name}.json").write_text(json.dumps([vars(item) for item in used]))
    questions = place / "Rowan" / "hellaswag"
    questions.mkdir(parents=True)
    lines = []
    for question in subset(data.hellaswag, config.hellaswag_items, config.seed):
        label, _, context = question.query.partition(": ")
        row: dict[str, Any] = {"activity_label": label, "ctx_a": context, "ctx_b": ""}
        row |= {"endings": list(question.choices), "label": str(question.gold)}
        lines.append(json.dumps(row))
    for name in ("train", "validation"):
        (questions / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def finetune_command(folder: Path, place: Path, config: Any, steps: int) -> list[str]:
    rates = {"lr": CONFIG["learning_rate"], "weight_decay": CONFIG["weight_decay"]}
    adapters = [f"--lora_{name}=true" for name in config.matrices]
    return [
        str(Path(sys.executable).with_name("litgpt")),
        "finetune_lora",
        str(folder),
        "--data=JSON",
        f"--data.json_path={place}",
        f"--data.mask_prompt={str(config.mask_prompt).lower()}",
        "--data.num_workers=0",
        f"--lora_r={CONFIG['lora_rank']}",
        f"--lora_alpha={CONFIG['lora_alpha']}",
        f"--lora_dropout={CONFIG['lora_dropout']}",
        *adapters,
        "--precision=bf16-true",
        f"--train.max_steps={steps}",
        f"--train.global_batch_size={config.batch}",
        f"--train.micro_batch_size={config.batch}",
        f"--train.max_seq_length={config.max_length}",
        f"--train.lr_warmup_steps={min(config.warmup_steps, steps - 1)}",
        "--train.epochs=1000",
        "--eval.interval=100000",
        f"--optimizer={{'class_path':'torch.optim.AdamW','init_args':{rates}}}",
        f"--out_dir={place / 'out'}",
    ]


def evaluate_command(place: Path, limit: int | None) -> list[str]:
    command = [str(Path(sys.executable).with_name("litgpt")), "evaluate"]
    command += [str(place / "out" / "final"), "--tasks=hellaswag", "--batch_size=8"]
    command += ["--device=cpu", "--dtype=bfloat16", "--force_conversion=true"]
    return command if limit is None else [*command, f"--limit={limit}"]


def main() -> None:
    config = settings()
    folder = checkpoint.find(config.model).folder()
    threads = config.threads
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_data(folder, place, config)
        _, printed = cpu_s([sys.executable, __file__, "ours"], place, threads)
        rows = json.loads(printed.splitlines()[-1])
        each = min(row["cpu_s"] for row in rows[1:])
        print(
            f"ours: {each:.1f} CPU s an evaluation; the first, with loading, {rows[0]['cpu_s']:.1f}"
        )
        clock = rows[1]["train_s"] + rows[1]["score_s"]
        print(
            f"  training {rows[1]['train_s'] / clock:.0%}, scoring {rows[1]['score_s'] / clock:.0%}"
        )
        train, _ = cpu_s(finetune_command(folder, place, config, config.steps), place, threads)
        score, printed = cpu_s(evaluate_command(place, None), place, threads)
        print(f"command lines: {train + score:.1f} CPU s an evaluation", flush=True)
        start_train, _ = cpu_s(finetune_command(folder, place, config, 2), place, threads)
        start_score, _ = cpu_s(evaluate_command(place, 1), place, threads)
    print(f"  {(train + score) / each:.1f} times ours")
    print(f"  finetune_lora {train:.1f}, with two steps {start_train:.1f}")
    print(f"  evaluate {score:.1f}, with one question {start_score:.1f}")
    print("\n".join(line for line in printed.splitlines() if "acc" in line and "|" in line))
    print({k: round(rows[1][k], 4) for k in ("hellaswag_acc", "hellaswag_acc_norm")})


if __name__ == "__main__":
    ours() if sys.argv[1:] == ["ours"] else main()
