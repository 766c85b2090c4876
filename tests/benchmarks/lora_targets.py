"""Find the target that best separates configurations: 16 LHS points, base model, three repeats.

    python tests/benchmarks/lora_targets.py evaluations.jsonl [log.jsonl]

The program makes the evaluations that `evaluations.jsonl` lacks, appends them, and prints a table.
If the log of an `lhs` run with the same settings is given, its evaluations replace the 16 points.

For each target, in its own unit:
    spread    standard deviation between the configurations
    paired    root mean square over pairs of configurations of the standard error of their
              difference, paired by item
    repeat    standard deviation between repeats of one configuration
    ratio     spread / sqrt(paired^2 + repeat^2)
    apart     share of the pairs whose difference is above twice its standard error
The second half covers the configurations that did not collapse, that is, those whose held-out loss
is at most 0.5 nats above the base model's.
"""

import json
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy.stats import qmc

from objectives.items import unpack_bits, unpack_floats
from objectives.lora_ft.objective import LoraFineTuning
from objectives.lora_ft.settings import TARGETS
from objectives.space import UnitCube
from objectives.trial import Config, Trial

CONF = Path(__file__).parents[2] / "conf"
N_LHS, N_REPEATS = 16, 3
COLLAPSED = 0.5  # nats above the base model
Row = dict[str, Any]


def main(file: Path, log: Path | None) -> None:
    with initialize_config_dir(str(CONF), version_base=None):
        settings = compose("config", overrides=["~optimizer", "objective=lora_ft"]).objective
    objective = instantiate(settings, _convert_="all")
    print(objective.notice())
    sample = logged(log) if log else None
    known = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for label, config in plan(objective, sample):
        if label not in [row["label"] for row in known]:
            row = {"label": label, "config": config, **evaluated(objective, config)}
            known.append(row)
            with file.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            print(label, row["value"], row["error"], f"{row['cost']:.0f} s", flush=True)
    lhs = sample or [row for row in known if row["label"].startswith("lhs")]
    base = next(row for row in known if row["label"] == "base")
    repeats = [row for row in known if row["label"].startswith("repeat")]
    report([row for row in lhs if row["error"] is None], base, repeats)


def plan(objective: LoraFineTuning, sample: list[Row] | None) -> list[tuple[str, Config]]:
    cube = UnitCube(objective.space)
    design = qmc.LatinHypercube(cube.dim, rng=np.random.default_rng(0)).random(N_LHS)
    points = [cube.config(u) for u in design]
    middle: Config = {
        "lora_rank": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.25,
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
    }
    todo = [("base", {**middle, "learning_rate": 1e-10})]
    todo += [(f"repeat {i}", middle) for i in range(N_REPEATS)]
    return todo if sample else todo + [(f"lhs {i}", point) for i, point in enumerate(points)]


def evaluated(objective: LoraFineTuning, config: Config) -> Row:
    return objective.evaluate(Trial(0, config)).to_json()


def logged(log: Path) -> list[Row]:
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [event for event in events if event["event"] == "evaluation"]


def outcome(row: Row, metric: str) -> NDArray[np.float64]:
    """Return the outcome of each item (n,)."""
    n = len(unpack_floats(row["items"]["hellaswag_p_right"]))
    packed = row["items"][metric]
    if metric in ("hellaswag_acc", "hellaswag_acc_norm"):
        return unpack_bits(packed, n).astype(float)
    return unpack_floats(packed)


def report(rows: list[Row], base: Row, repeats: list[Row]) -> None:
    limit = base["metrics"]["heldout_loss"] + COLLAPSED
    alive = [row for row in rows if row["metrics"]["heldout_loss"] <= limit]
    for title, chosen in (("all", rows), ("not collapsed", alive)):
        print(f"\n{len(chosen)} configurations, {title}")
        print(f"{'target':14} {'base':>8} {'spread':>8} {'paired':>8} {'repeat':>8} ratio apart")
        for target, (metric, _) in TARGETS.items():
            means = [row["metrics"][metric] for row in chosen]
            repeat = float(np.std([row["metrics"][metric] for row in repeats], ddof=1))
            errors, apart = [], []
            for one, other in combinations(chosen, 2):
                difference = outcome(one, metric) - outcome(other, metric)
                errors.append(difference.std(ddof=1) / np.sqrt(len(difference)))
                apart.append(abs(difference.mean()) > 2 * errors[-1])
            spread, paired = np.std(means, ddof=1), np.sqrt(np.mean(np.square(errors)))
            ratio = spread / np.hypot(paired, repeat)
            print(
                f"{target:14} {base['metrics'][metric]:8.4f} {spread:8.4f} {paired:8.4f} "
                f"{repeat:8.4f} {ratio:5.1f} {np.mean(apart):5.0%}"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
