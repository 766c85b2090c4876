"""Score the model before any training: the same for every cell.

    TUNEOFF_DATA=... python -m objectives.lora_table.untrained [task=alpaca] \
      out=results/lora_table

It writes `untrained.json`, which holds the items with which the table's checkpoints are compared.
It takes 60 CPU seconds.
"""

import json
import sys
from pathlib import Path

import torch

from objectives import checkpoint
from objectives.items import pack_floats
from objectives.lora_ft.data import load
from objectives.lora_ft.team import team
from objectives.lora_table.bench import Bench, answers, item_losses
from objectives.lora_table.tasks import ALPACA, TASKS
from objectives.lora_table.untrained_items import NAME


def main(arguments: list[str]) -> None:
    settings = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    unknown = [a for a in arguments if a.partition("=")[0] not in ("task", "out")]
    task = TASKS.get(settings.get("task", ALPACA.name))
    if "out" not in settings or unknown or task is None:
        sys.exit(
            f"untrained: expected [task={'|'.join(TASKS)}] out=FOLDER, got "
            f"{' '.join(arguments) or 'nothing'}"
        )
    data = load("auto")
    bench = Bench(task, data, checkpoint.find(checkpoint.SMOLLM2).folder())
    with team(1, torch.device("cpu")) as workers:
        model = bench.untrained()
        selection = item_losses(workers, model, bench.items.selection)
        test = item_losses(workers, model, bench.items.test)
        means, packed = answers(workers, model, bench)
    found = {
        "data_digest": data.digest,
        "selection_loss": round(float(selection.mean()), 6),
        "test_loss": round(float(test.mean()), 6),
        "selection 1": pack_floats(selection),
        "test": pack_floats(test),
        **means,
        **packed,
    }
    path = Path(settings["out"]).expanduser() / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{path}: {found['selection_loss']} nats, on the test set {found['test_loss']}")


if __name__ == "__main__":
    main(sys.argv[1:])
