"""Are the incumbents of several `lora_ft` runs different, on the same held-out instructions?

    python tests/benchmarks/lora_paired.py results/lora_ft_smollm2/*

For each pair of runs: the mean difference of the held-out loss, in nats per token, its standard
error paired by item, and the p value of a paired t test, corrected by Holm over all pairs. It
says whether two configurations differ on these data, not whether two optimizers do: that takes
seeds.
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import ttest_rel

from experiments.compare import load
from objectives.lora_ft.scoring import unpack_floats

ITEMS = "heldout_loss"


def main(folders: list[Path]) -> None:
    losses = {}
    for folder in folders:
        run = load(folder)
        id = run.incumbent()
        assert run.header is not None
        if id is not None:
            losses[run.header["names"]["optimizer"]] = unpack_floats(
                run.evaluations[id].items[ITEMS]
            )
    pairs = list(combinations(sorted(losses, key=lambda name: losses[name].mean()), 2))
    p_values = np.array([ttest_rel(losses[a], losses[b]).pvalue for a, b in pairs])
    order = np.argsort(p_values)
    holm = np.empty(len(pairs))  # Holm 1979: the k-th smallest times (m - k), never falling
    holm[order] = np.maximum.accumulate(p_values[order] * np.arange(len(pairs), 0, -1))
    print("| better | worse | difference | paired error | Holm p |\n|---|---|---|---|---|")
    for (a, b), p in zip(pairs, np.minimum(holm, 1), strict=True):
        difference = losses[b] - losses[a]
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        verdict = "" if p < 0.05 else " (not distinguishable)"
        print(f"| {a} | {b} | {difference.mean():.4f} | {error:.4f} | {p:.3f}{verdict} |")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
