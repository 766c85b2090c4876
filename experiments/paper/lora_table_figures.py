"""Figures of the table of real LoRA fine-tunings."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.analysis.statistics.importance import fanova
from experiments.paper.lora_table import LABELS, heat, importance, ranked
from experiments.paper.lora_table_file import SHARES, LoraTable
from experiments.paper.pictures import BLUE, DARK, LIGHT, MIDDLE, ORANGE, figure, letter

_AXES = {
    "learning_rate": "learning\nrate",
    "lora_rank": "rank",
    "lora_alpha": "alpha",
    "matrices": "matrices",
    "batch": "batch",
}


def landscape(table: LoraTable) -> Figure:
    """Draw the loss over rate and rank, and every cell over the rate."""
    made = figure(2.9)
    left, right = made.subplots(1, 2, width_ratios=[1.15, 1])
    rates, ranks, lowest = heat(table)
    top = table.base
    image = left.imshow(
        np.minimum(lowest, top), cmap="cividis", aspect="auto", origin="lower", vmax=top
    )
    for i, j in np.argwhere(np.isfinite(lowest)):
        shown, dark = f"{lowest[i, j]:.2f}", lowest[i, j] < (np.nanmin(lowest) + top) / 2
        if lowest[i, j] < 10:
            left.text(j, i, shown, ha="center", va="center", fontsize=5.5,
                      color="white" if dark else "black")  # fmt: skip
    left.set_xticks(range(len(rates)), [f"{rate:.0e}" for rate in rates], rotation=60, fontsize=6)
    left.set_yticks(range(len(ranks)), [str(rank) for rank in ranks])
    left.set_xlabel("learning rate")
    left.set_ylabel("rank")
    letter(left, "lowest final loss")
    bar = made.colorbar(image, ax=left, pad=0.02)
    bar.set_label("nats per token, cut at untrained")
    _over_rate(right, table)
    return made


def _over_rate(axes: Axes, table: LoraTable) -> None:
    for matrices, color, marker, shift in (
        ("attention", DARK, "o", 0.95),
        ("attention_mlp", ORANGE, "^", 1.05),
    ):
        chosen = [t for t in table.cells if t.config["matrices"] == matrices]
        x = [training.rate * shift for training in chosen]
        y = [training.final for training in chosen]
        axes.plot(x, y, marker, color=color, mfc="none", markersize=3.5,
                  label=matrices.replace("_mlp", " and MLP"))  # fmt: skip
    axes.axhline(table.base, color=MIDDLE, linestyle=":", linewidth=1)
    axes.text(1e-5, table.base * 1.03, "untrained", color=MIDDLE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_yticks([2, 3, 5, 10, 20], ["2", "3", "5", "10", "20"])
    axes.minorticks_off()
    axes.set_xlabel("learning rate")
    axes.set_ylabel("final held-out loss, nats per token")
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0.93))
    letter(axes, "every cell")


def learning(table: LoraTable) -> Figure:
    """Draw learning curves by rate, and the importance of the axes."""
    made = figure(2.6)
    left, right = made.subplots(1, 2, width_ratios=[1.3, 1])
    whole = [t for t in table.cells if set(t.loss) == set(SHARES)]
    first = {t.cell for t in ranked(table)[:5]}
    for training in whole:
        curve = [table.base, *(training.loss[share] for share in SHARES)]
        chosen = training.cell in first
        left.plot([0, *SHARES], np.minimum(curve, table.base + 0.3), "-",
                  color=BLUE if chosen else LIGHT, linewidth=1.4 if chosen else 0.5,
                  zorder=2 if chosen else 1)  # fmt: skip
    left.axhline(table.base, color=MIDDLE, linestyle=":", linewidth=1)
    left.set_xticks([0, *SHARES], ["0", *LABELS.values()])
    left.set_ylim(None, table.base + 0.25)
    left.set_xlabel("share of the steps")
    left.set_ylabel("held-out loss, nats per token")
    letter(left, "learning curves; dark: the five best at the end")
    shares = importance(table, fanova)
    right.barh(range(len(_AXES)), [shares[axis] for axis in _AXES], color=BLUE, height=0.6)
    right.set_yticks(range(len(_AXES)), list(_AXES.values()))
    right.invert_yaxis()
    right.set_xlabel("fANOVA share of the variance")
    letter(right, "main effects")
    return made


def bias(table: LoraTable) -> Figure:
    """Draw the final loss against the loss on the test set, both as changes from no training."""
    made = figure(2.6)
    left, right = made.subplots(1, 2)
    learned = [t for t in ranked(table) if t.final < table.base and np.isfinite(t.test_loss)]
    x = np.array([training.final - table.base for training in learned])
    y = np.array([training.test_loss - table.base_test for training in learned])
    ends = [min(x.min(), y.min()) - 0.01, 0.02]
    left.plot(ends, ends, "-", color=MIDDLE, linewidth=0.8)
    left.plot(x, y, "o", color=DARK, mfc="none", markersize=3.5)
    left.plot(x[:5], y[:5], "o", color=BLUE, markersize=3.5)
    left.set_xlabel("change of the selection loss, nats")
    left.set_ylabel("change of the test loss, nats")
    letter(left, "dark: the five best by the selection loss")
    for share, marker, color in zip(SHARES[:-1], "^o", (ORANGE, BLUE), strict=True):
        whole = [t for t in learned if share in t.loss]
        right.plot([t.loss[share] - table.base for t in whole],
                   [t.final - table.base for t in whole], marker, color=color, mfc="none",
                   markersize=3.5, label=f"after {LABELS[share]}")  # fmt: skip
    right.set_xlabel("change of the early loss, nats")
    right.set_ylabel("change of the final loss, nats")
    right.set_xlim(None, 0.1)
    right.legend()
    letter(right, "early and final losses")
    return made
