"""The table of real LoRA fine-tunings: statements about the landscape and about its limits.

The table grows, so every statement here is about the cells that exist, which are a uniform sample
of the grid.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from experiments.paper.lora_table_file import AXES, SHARES, LoraTable, Training
from experiments.paper.numbers import Cell, Facts, Section, Table, count, number
from experiments.paper.published import Floats

GRID_SIZE = 640
TIE = 0.01  # nats per token: differences below it are ties by the data sheet
LABELS = {1 / 9: "1/9", 1 / 3: "1/3", 1.0: "1"}
WATTS = 25  # assumed for a busy core with its part of memory and cooling; a guess, said as one
_N_SHOWN = 8


def sections(table: LoraTable) -> list[Section]:
    """Return the facts, the landscape by rate, the best cells, and the rungs' correlations."""
    return [facts(table), by_rate(table), best(table), rungs(table)]


def facts(table: LoraTable) -> Facts:
    """Return the numbers of the text."""
    source = table.source()
    final = np.array([training.final for training in table.cells])
    least = float(final.min())
    n_near = int((final < least + TIE).sum())
    first = ranked(table)[0]
    entries = {
        "TableCells": count(len(final), source),
        "TableGrid": count(GRID_SIZE, source),
        "TableTrainings": count(len(table.cells) + len(table.replicates), source),
        "TableHours": number(table.cpu_s / 3600, 1, source),
        "TableEnergy": number(table.cpu_s / 3600 * WATTS / 1000, 2, source),
        "TableWatts": count(WATTS, source),
        "TableBase": number(table.base, 3, source),
        "TableBaseTest": number(table.base_test, 3, source),
        "TableBest": number(least, 3, source),
        "TableBestTest": number(first.test_loss, 3, source),
        "TableWorse": number(float((final > table.base).mean()), 0, source, 100),
        "TableDiverged": count(int(np.isinf(final).sum()), source),
        "TableTies": count(n_near, source),
    }
    for words, n in (("Twenty", 20), ("Thirty", 30), ("Fifty", 50)):
        chance = 1 - (1 - n_near / len(final)) ** n
        entries[f"TableRandom{words}"] = number(chance, 0, source, 100)
    deviation = seed_deviation(table)
    shown = "not yet known" if deviation is None else f"{deviation:.4f}"
    entries["TableSeedSd"] = Cell(deviation, shown, source)
    return Facts("lora_table_facts", entries)


def seed_deviation(table: LoraTable) -> float | None:
    """Return the pooled standard deviation of the final loss over training seeds.

    It is taken over the cells that learned at all (a final loss below the untrained one) and whose
    three trainings exist; None if there is none.
    """
    groups: dict[int, list[float]] = {}
    for training in [*table.cells, *table.replicates]:
        groups.setdefault(training.cell, []).append(training.final)
    variances = [
        float(np.var(values, ddof=1))
        for values in groups.values()
        if len(values) > 2 and max(values) < table.base
    ]
    return math.sqrt(float(np.mean(variances))) if variances else None


def ranked(table: LoraTable) -> list[Training]:
    """Return the cells from the lowest final loss to the highest."""
    return sorted(table.cells, key=lambda training: (training.final, training.cell))


def by_rate(table: LoraTable) -> Table:
    """Return the final losses by learning rate: how many, quantiles, and share that learned."""
    source = table.source()
    rows: list[tuple[str, Sequence[Cell]]] = []
    for rate in sorted({training.rate for training in table.cells}):
        losses = np.array([t.final for t in table.cells if t.rate == rate])
        finite = losses[np.isfinite(losses)]
        cells = [count(len(losses), source)]
        for quantile in (0.0, 0.5, 1.0):
            value = float(np.quantile(finite, quantile)) if len(finite) else math.nan
            cells.append(number(value, 3, source) if len(finite) else Cell(None, "--", source))
        cells.append(number(float((losses < table.base).mean()), 0, source, 100))
        rows.append((f"{rate:.1e}", cells))
    columns = ["learning rate", "cells", "lowest", "median", "highest", "better, percent"]
    return Table("lora_table_rates", columns, rows)


def best(table: LoraTable) -> Table:
    """Return the best cells with their test loss and the paired standard error to the first."""
    source = table.source()
    shown = ranked(table)[:_N_SHOWN]
    rows: list[tuple[str, Sequence[Cell]]] = []
    for training in shown:
        config = training.config
        words = "attention, MLP" if config["matrices"] == "attention_mlp" else config["matrices"]
        cells = [Cell(config[axis], config[axis], source) for axis in AXES[1:3]]
        cells += [Cell(words, words, source), Cell(config["batch"], config["batch"], source)]
        cells += [number(training.final, 3, source), number(training.test_loss, 3, source)]
        error = _paired_error(training, shown[0])
        cells.append(Cell(None, "--", source) if error is None else number(error, 3, source))
        rows.append((f"{training.rate:.1e}", cells))
    columns = ["learning rate", "rank", "alpha", "matrices", "batch"]
    return Table(
        "lora_table_best",
        [*columns, "selection loss", "test loss", "paired error"],
        rows,
        align="lrrlrrrr",
    )


def _paired_error(training: Training, first: Training) -> float | None:
    """Return the standard error of the mean difference of items; None for the first itself."""
    if training is first or training.items is None or first.items is None:
        return None
    gaps = training.items - first.items
    return float(gaps.std(ddof=1) / math.sqrt(len(gaps)))


def rungs(table: LoraTable) -> Table:
    """Return how well the early losses order the final ones.

    Spearman's correlation over all cells and over the best third by the final loss, and the part
    of the best ninth at the end that is among the best third early (what a rung with eta = 3 keeps
    of the best).
    """
    source = table.source()
    whole = [t for t in ranked(table) if set(t.loss) == set(SHARES)]
    third = whole[: math.ceil(len(whole) / 3)]
    ninth = {t.cell for t in whole[: math.ceil(len(whole) / 9)]}
    rows: list[tuple[str, Sequence[Cell]]] = []
    for share in SHARES[:-1]:
        cells = [number(_spearman(group, share), 2, source) for group in (whole, third)]
        kept = sorted(whole, key=lambda t: t.loss[share])[: math.ceil(len(whole) / 3)]
        part = len(ninth & {t.cell for t in kept}) / len(ninth)
        cells.append(number(part, 0, source, 100))
        rows.append((LABELS[share], cells))
    columns = [
        "share of the steps",
        "Spearman, all",
        "Spearman, best third",
        "best ninth kept, \\%",
    ]
    return Table("lora_table_rungs", columns, rows)


def _spearman(trainings: Sequence[Training], share: float) -> float:
    early = [training.loss[share] for training in trainings]
    final = [training.final for training in trainings]
    return float(stats.spearmanr(early, final).statistic)


def importance(table: LoraTable, fanova: Callable[..., dict[str, float]]) -> dict[str, float]:
    """Return the fANOVA shares of the five axes for the final loss.

    The loss is cut at the untrained one, so that the size of a divergence does not decide:
    "worse than no training" is one value.
    """
    levels: dict[str, Floats] = {}
    ends: dict[str, tuple[float, float]] = {}
    for axis in AXES:
        known = sorted({t.config[axis] for t in table.cells}, key=_order)
        levels[axis] = np.array([float(known.index(t.config[axis])) for t in table.cells])
        ends[axis] = (0.0, float(len(known) - 1))
    losses = np.minimum([t.final for t in table.cells], table.base)
    return fanova(levels, ends, losses, 64, 64)


def _order(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return 0.0, text


def heat(table: LoraTable) -> tuple[list[float], list[int], Any]:
    """Return rates, ranks, and the lowest final loss of each pair (ranks, rates); NaN: no cell."""
    rates = sorted({t.rate for t in table.cells})
    ranks = sorted({int(t.config["lora_rank"]) for t in table.cells})
    lowest = np.full((len(ranks), len(rates)), np.nan)
    for training in table.cells:
        place = ranks.index(int(training.config["lora_rank"])), rates.index(training.rate)
        lowest[place] = np.nanmin([lowest[place], training.final])
    return rates, ranks, lowest
