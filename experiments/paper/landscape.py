"""The factors behind the published scores: the collapse with alpha / rank, the cliff, the noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from experiments.paper.numbers import Cell, Facts, Table, count, number, words
from experiments.paper.published import (
    N_HELLASWAG,
    Floats,
    Point,
    Published,
    column,
    distinct,
    incumbent,
)

UNTRAINED = -6.5  # the log10 learning rate below which nothing can be learned
CLIFF = -2.4  # the log10 learning rate above which every run collapsed
LITTLE = 0.3  # the alpha / rank below which the collapse has little effect
CHANCE = 0.25  # the accuracy of guessing on HellaSwag, which has four endings
_FEW_ITEMS = 2


def untrained(study: Published) -> list[Point]:
    """Return the evaluated rows whose learning rate is too low to learn anything."""
    return [point for point in study.evaluated() if point.log10_rate < UNTRAINED]


def isotonic(x: Floats, y: Floats, increasing: bool = False) -> Floats:
    """Return the least-squares monotone fit at each x, shape (n,); equal x have equal values."""
    places, inverse = np.unique(x, return_inverse=True)
    weights = np.bincount(inverse).astype(float)
    means = np.bincount(inverse, y) / weights
    fitted: Floats = isotonic_regression(means, weights=weights, increasing=increasing).x
    return fitted[inverse]


def explained(fitted: Floats, y: Floats) -> float:
    """Return R^2."""
    return 1 - float(((y - fitted) ** 2).sum()) / float(((y - y.mean()) ** 2).sum())


def collapse(study: Published) -> Table:
    """Return how much a monotone function of each quantity explains among untrained rows."""
    points = untrained(study)
    source = study.source(points)
    rows = []
    directions = {
        "ratio": ("alpha / rank", False),
        "lora_alpha": ("alpha", False),
        "lora_rank": ("rank", True),
        "lora_dropout": ("dropout", False),
        "learning_rate": ("learning rate", False),
        "weight_decay": ("weight decay", False),
    }
    for name, (label, increasing) in directions.items():
        x = column(points, name)
        cells = []
        for metric in ("hellaswag", "mmlu"):
            y = column(points, metric)
            cells.append(number(explained(isotonic(x, y, increasing), y), 4, source))
        rows.append((label, cells))
    return Table("collapse", ["isotonic in", "HellaSwag, $R^2$", "MMLU, $R^2$"], rows)


def halfway(ratio: Floats, accuracy: Floats, base: float) -> float:
    """Return the ratio at which accuracies (n,) have fallen halfway from the base to chance.

    It is interpolated over the logarithm of the ratio, between the last accuracy above and the next
    one below the halfway value. It is NaN if no accuracy is below.
    """
    order = np.argsort(ratio)
    logs, heights = np.log10(ratio[order]), accuracy[order]
    half = (base + CHANCE) / 2
    above = np.flatnonzero(heights >= half)
    if not len(above) or above[-1] + 1 == len(heights):
        return float("nan")
    i = int(above[-1])
    share = (heights[i] - half) / (heights[i] - heights[i + 1])
    return float(10 ** (logs[i] + share * (logs[i + 1] - logs[i])))


@dataclass(frozen=True)
class Pair:
    """One configuration that both SOO and BaMSOO evaluated."""

    soo: Point
    bamsoo: Point

    @property
    def items(self) -> int:
        """The number of HellaSwag items by which SOO exceeds BaMSOO."""
        return round((self.soo.hellaswag - self.bamsoo.hellaswag) * N_HELLASWAG)


def pairs(study: Published) -> list[Pair]:
    """Return the configurations that both partition methods evaluated, in SOO's order."""
    found = {tuple(point.config.values()): point for point in study.evaluated("BaMSOO")}
    both = [
        Pair(point, found[tuple(point.config.values())])
        for point in study.evaluated("SOO")
        if tuple(point.config.values()) in found
    ]
    return both


def landscape_facts(study: Published) -> Facts:
    """Return the numbers of the text about the landscape."""
    points, low = study.evaluated(), untrained(study)
    scores = column(low, "hellaswag")
    tiny = [point for point in low if point.ratio < 0.05]
    wide = [point for point in low if point.ratio > 1.5]
    past = [point for point in points if point.log10_rate > CLIFF]
    source = study.source(low)
    ratios = column(low, "ratio")
    fitted = isotonic(ratios, scores)
    top = float(column(tiny, "hellaswag").mean())
    return Facts(
        "landscape",
        {
            "UntrainedRows": count(len(low), source),
            "CollapseRsq": number(explained(fitted, scores), 4, source),
            "CollapseTop": number(top, 4, study.source(tiny)),
            "CollapseBottom": number(
                float(column(wide, "hellaswag").mean()), 4, study.source(wide)
            ),
            "CollapseHalf": number(halfway(ratios, fitted, top), 1, source),
            "PastCliffRows": count(len(past), study.source(past)),
            "PastCliffBest": number(float(column(past, "hellaswag").max()), 3, study.source(past)),
            **_winners(study),
            **_noise(study),
        },
    )


def _winners(study: Published) -> dict[str, Cell]:
    """Return the best evaluation of all, and the best whose learning rate allows learning."""
    best = incumbent(study.evaluated())
    trained = [point for point in study.evaluated() if point.log10_rate >= UNTRAINED]
    learned = incumbent(trained)
    own = study.evaluated(best.algorithm)
    cells = {
        "Configurations": count(len(distinct(study.evaluated())), study.source(study.evaluated())),
        "BestPlace": count(own.index(best) + 1, study.source(own)),
    }
    for name, point in (("BestOfAll", best), ("BestTrained", learned)):
        source = study.source([point])
        cells |= {
            name: number(point.hellaswag, 4, source),
            f"{name}Rate": Cell(point.log10_rate, f"$10^{{{point.log10_rate:.1f}}}$", source),
            f"{name}By": words(point.algorithm, source),
        }
    items = round((best.hellaswag - learned.hellaswag) * N_HELLASWAG)
    return {**cells, "BestMoreItems": count(items, study.source([best, learned]))}


def _noise(study: Published) -> dict[str, Cell]:
    both = pairs(study)
    source = study.source([point for pair in both for point in (pair.soo, pair.bamsoo)])
    apart = [pair for pair in both if abs(pair.items) > _FEW_ITEMS]
    far = study.source([point for pair in apart for point in (pair.soo, pair.bamsoo)])
    gaps = sorted(abs(pair.soo.hellaswag - pair.bamsoo.hellaswag) for pair in apart)
    near = [pair.soo.hellaswag - pair.bamsoo.hellaswag for pair in both if pair not in apart]
    return {
        "Duplicates": count(len(both), source),
        "NearDuplicates": count(len(near), source),
        "FarLeast": number(gaps[0], 3, far),
        "FarMost": number(gaps[-1], 3, far),
        # The deviation of one run; that of a difference is sqrt(2) times as large.
        "RepeatSd": number(float(np.sqrt(np.mean(np.square(near)) / 2)), 5, source),
    }


def duplicates(study: Published) -> Table:
    """Return the differences between two runs of the same configuration, by learning rate."""
    both = pairs(study)
    rows = []
    for rate in sorted({pair.soo.log10_rate for pair in both}):
        here = [pair for pair in both if pair.soo.log10_rate == rate]
        source = study.source([point for pair in here for point in (pair.soo, pair.bamsoo)])
        items = np.array([abs(pair.items) for pair in here])
        mmlu = np.array([abs(pair.soo.mmlu - pair.bamsoo.mmlu) for pair in here])
        rows.append(
            (
                f"$10^{{{rate:g}}}$",
                [
                    count(len(here), source),
                    count(int((items <= _FEW_ITEMS).sum()), source),
                    count(int(items.max()), source),
                    number(float(mmlu.max()), 4, source),
                ],
            )
        )
    columns = ["learning rate", "pairs", "within 2 items", "most items apart", "MMLU, most apart"]
    return Table("duplicates", columns, rows)


def calm(points: Sequence[Point]) -> list[Point]:
    """Return the rows that the collapse hardly affects; they show the learning rate's effect."""
    return [point for point in points if point.ratio <= LITTLE]
