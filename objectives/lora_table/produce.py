"""Produce a task's table: do the trainings of the plan that are not done yet.

    TUNEOFF_DATA=... python -m objectives.lora_table.produce [task=alpaca] out=FOLDER [trainings=N]

Several processes, with one thread each, may work on one folder. Each may be killed at any moment
and started again. `trainings` ends a process after that number of trainings. `python -m
objectives.lora_table.launch` starts two processes in the background from the tagged code.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from objectives import checkpoint
from objectives.items import pack_floats
from objectives.lora_ft.data import Data, load
from objectives.lora_ft.scoring import Floats
from objectives.lora_ft.team import TOKENS_AT_ONCE, Piece, Result, Team
from objectives.lora_ft.training import Diverged
from objectives.lora_table import records
from objectives.lora_table.bench import PRECISION, Bench, answers, item_losses
from objectives.lora_table.cells import REFERENCE, SHARES, Training
from objectives.lora_table.progress import planned
from objectives.lora_table.records import Row
from objectives.lora_table.tasks import ALPACA, TASKS, Task
from objectives.quiet import Background

_WAIT_S = 10.0
_REFERENCE_STEPS = 9


class Pausing(Team):
    """Works piece by piece in the calling thread; waits while another process measures."""

    def __init__(self, background: Background) -> None:
        super().__init__(ThreadPoolExecutor(1), TOKENS_AT_ONCE["cpu"])
        self.background = background

    def map(self, work: Callable[[int, Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
        results = []
        for number, piece in enumerate(pieces):
            with self.background.piece():
                results.append(work(number, piece))
        return results


class Clock:
    """CPU and wall seconds since the last call; wall time excludes pauses for other processes."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._last = self._now()

    def _now(self) -> tuple[float, float]:
        return time.process_time(), time.monotonic() - self._background.paused_s

    def split(self) -> tuple[float, float]:
        last, self._last = self._last, self._now()
        return round(self._last[0] - last[0], 3), round(self._last[1] - last[1], 3)


def make(bench: Bench, training: Training, team: Pausing) -> tuple[Row, Row]:
    """Do one training and return its row and its items; a divergence is recorded in the row."""
    items: Row = {"cell": training.cell.id, "train_seed": training.train_seed}
    row: Row = {**asdict(training.cell), "cell": training.cell.id}
    del row["id"]
    row |= {"train_seed": training.train_seed, "part": training.part}
    row |= {"started": datetime.now(UTC).isoformat(timespec="seconds"), "checkpoints": []}
    row |= {"test_loss": None, "test_cpu_s": None, "error": None}
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak memory
    clock = Clock(team.background)
    run = bench.begun(training)
    try:
        for share in SHARES:
            run.train(team, bench.task.steps(training.cell, share))
            spent = clock.split()
            scored = bench.items.selection[: bench.task.selection[share]]
            losses = item_losses(team, run.model, scored)
            row["checkpoints"].append(
                _checkpoint(share, len(run.losses), losses, spent, clock.split())
            )
            items[f"selection {share}"] = pack_floats(losses)
            _expect_finite(f"held-out loss at {share} of the steps", losses)
        losses = item_losses(team, run.model, bench.items.test)
        row["test_loss"], row["test_cpu_s"] = _number(losses.mean()), clock.split()[0]
        items["test"] = pack_floats(losses)
        _expect_finite("test loss", losses)
        if training.part in bench.task.questioned:
            means, packed = answers(team, run.model, bench)
            row |= means
            items |= packed
            row["hellaswag_cpu_s"] = clock.split()[0]
    except Diverged as reason:
        row["error"] = str(reason)
        row["error_cpu_s"] = clock.split()[0]
    row["train_losses"] = [_number(loss, 4) for loss in run.losses]
    row["peak_mib"] = _peak_mib()
    return row, items


def _checkpoint(
    share: str,
    step: int,
    losses: Floats,
    training_s: tuple[float, float],
    scoring_s: tuple[float, float],
) -> Row:
    return {
        "fidelity": share,
        "step": step,
        "heldout_loss": _number(losses.mean()),
        "items": len(losses),
        "train_cpu_s": training_s[0],
        "train_wall_s": training_s[1],
        "score_cpu_s": scoring_s[0],
        "score_wall_s": scoring_s[1],
    }


def _peak_mib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def _expect_finite(name: str, losses: Floats) -> None:
    if not np.isfinite(losses).all():
        raise Diverged(f"{name} is {losses.mean()}")


def _number(value: float, digits: int = 6) -> float | str:
    """Return a rounded number; NaN and infinity become texts, because JSON lacks them."""
    return round(float(value), digits) if np.isfinite(value) else str(float(value))


def open_block(bench: Bench, data: Data, digest: str, folder: Path, team: Pausing) -> int:
    """Begin to train the reference cell; return the block in which this process works."""
    clock = Clock(team.background)
    run = bench.begun(Training(REFERENCE, 0, "reference"))
    run.train(team, _REFERENCE_STEPS)
    scored = bench.items.selection[: bench.task.selection["1/9"]]
    losses = item_losses(team, run.model, scored)
    identity: Row = {
        "processor": _processor(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "litgpt", "transformers", "numpy")},
        },
        "data_digest": data.digest,
        "model_digest": digest,
        "reference_train_losses": [_number(loss) for loss in run.losses],
        "reference_heldout_loss": _number(losses.mean()),
    }
    others = {
        "task": bench.task.name,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "reference_cpu_s": clock.split()[0],
        "precision": PRECISION,
        "threads": torch.get_num_threads(),
        "isa": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
    }

    def check(first: Row) -> None:
        if (its_task := first.get("task", ALPACA.name)) != bench.task.name:
            raise ValueError(
                f"{folder}: expected task={its_task}, as in its first block, got "
                f"{bench.task.name}; name another folder"
            )
        for name in ("data_digest", "model_digest"):
            if first[name] != identity[name]:
                raise ValueError(
                    f"{folder}: expected the {name} of its first block, {first[name][:8]}, got "
                    f"{identity[name][:8]}; name the same data in TUNEOFF_DATA, or another folder"
                )

    return records.block(folder, identity, others, check)


def _processor() -> str:
    """Return the processor's model name and architecture, as Linux gives them."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    names = ("model name", "cpu family", "model", "stepping")
    return ", ".join(f"{name} {fields[name]}" for name in names if name in fields)


def next_training(task: Task, folder: Path, claims: records.Claims) -> Training | None:
    """Claim the first training of the plan that is neither done nor in progress.

    Wait if the rest of the plan depends on trainings that another process is doing.
    """
    while True:
        trainings, whole = planned(task.plan, folder)
        finished = records.done(folder)
        for training in trainings:
            if training.key not in finished and claims.take(training.number):
                if training.key not in records.done(folder):
                    return training
                claims.release(training.number)
        if whole:
            return None
        time.sleep(_WAIT_S)


def produce(task: Task, folder: Path, n_trainings: int | None, say: Callable[[str], None]) -> None:
    """Train until the plan is done, or up to a number of trainings."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    found = checkpoint.find(checkpoint.SMOLLM2)
    data = load("auto")
    bench = Bench(task, data, found.folder())
    team = Pausing(Background())
    number, rows, items = records.own_files(folder)
    block = open_block(bench, data, found.digest, folder, team)
    say(f"task {task.name}, process {number}, block {block}, data {data.digest[:8]}")
    claims = records.Claims(folder)
    n_made = 0
    while n_trainings is None or n_made < n_trainings:
        training = next_training(task, folder, claims)
        if training is None:
            say("the table is complete")
            return
        row, its_items = make(bench, training, team)
        items.append(its_items)
        rows.append({**row, "block": block, "process": number})
        claims.release(training.number)
        n_made += 1
        loss = row["checkpoints"][-1]["heldout_loss"] if row["checkpoints"] else None
        n_done, n_cells = len(records.done(folder)), len(task.plan.cells)
        say(f"{n_done} trainings of {n_cells}+: {training}: {loss}")


def main(arguments: list[str]) -> None:
    settings = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    unknown = [a for a in arguments if a.partition("=")[0] not in ("task", "out", "trainings")]
    task = TASKS.get(settings.get("task", ALPACA.name))
    if "out" not in settings or unknown or task is None:
        sys.exit(
            f"produce: expected [task={'|'.join(TASKS)}] out=FOLDER [trainings=N], got "
            f"{' '.join(arguments) or 'nothing'}"
        )
    limit = settings.get("trainings")
    try:
        produce(
            task,
            Path(settings["out"]).expanduser(),
            None if limit is None else int(limit),
            lambda text: print(datetime.now(UTC).strftime("%F %T"), text, flush=True),
        )
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
