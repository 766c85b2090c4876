"""Score the model before any training: the same for every cell.

    TUNEOFF_DATA=... python -m objectives.lora_table.untrained out=results/lora_table

It writes `untrained.json`, which holds the items with which the table's checkpoints are compared.
It takes 60 CPU seconds.
"""

import json
import sys
from pathlib import Path

import torch

from objectives import checkpoint
from objectives.lora_ft import scoring
from objectives.lora_ft.data import load
from objectives.lora_ft.team import team
from objectives.lora_table.bench import Bench, hellaswag_items, item_losses
from objectives.lora_table.untrained_items import NAME


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or not arguments[0].startswith("out="):
        sys.exit(f"untrained: expected out=FOLDER, got {' '.join(arguments) or 'nothing'}")
    data = load("auto")
    bench = Bench(data, checkpoint.find(checkpoint.SMOLLM2).folder())
    with team(1, torch.device("cpu")) as workers:
        model = bench.untrained()
        selection = item_losses(workers, model, bench.selection)
        test = item_losses(workers, model, bench.test)
        _, hellaswag = hellaswag_items(workers, model, bench)
    found = {
        "data_digest": data.digest,
        "selection_loss": round(float(selection.mean()), 6),
        "test_loss": round(float(test.mean()), 6),
        "selection 1": scoring.pack_floats(selection),
        "test": scoring.pack_floats(test),
        **hellaswag,
    }
    path = Path(arguments[0].removeprefix("out=")).expanduser() / NAME
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{path}: {found['selection_loss']} nats, on the test set {found['test_loss']}")


if __name__ == "__main__":
    main(sys.argv[1:])
