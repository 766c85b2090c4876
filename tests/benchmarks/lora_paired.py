"""Are the incumbents of several `lora_ft` runs different, on the same held-out instructions?

    python tests/benchmarks/lora_paired.py results/lora_ft_smollm2

For each pair of runs: the mean difference of the held-out loss, in nats per token, its standard
error paired by item, and the p value of the exact signed-rank test over items, corrected by Holm
over all pairs. The test shows whether two configurations differ on these data, and not whether two
optimizers differ, which requires several seeds. `tuneoff verdict` states the same for any runs in
one sentence.
"""

import sys
from pathlib import Path

from experiments.analysis.statistics.gather import gather
from experiments.analysis.statistics.items import compare_items

ITEMS = "heldout_loss"


def main(folders: list[Path]) -> None:
    (task,) = gather(folders, ITEMS, optima=False).tasks
    print("| better | worse | difference | paired error | Holm p |\n|---|---|---|---|---|")
    for pair in sorted(compare_items(task, ITEMS), key=lambda pair: pair.corrected):
        names = (pair.first, pair.second) if pair.difference < 0 else (pair.second, pair.first)
        verdict = "" if pair.corrected < 0.05 else " (not distinguishable)"
        print(
            f"| {names[0]} | {names[1]} | {abs(pair.difference):.4f} | {pair.standard_error:.4f} "
            f"| {pair.corrected:.3f}{verdict} |"
        )


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
