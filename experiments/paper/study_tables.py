"""The study's two tables: the space, and the scores with tests of their differences.

The test of two accuracies p1, p2 with standard errors s1, s2, each over the same items:

    z = (p1 - p2) / sqrt(s1^2 + s2^2 - 2 rho s1 s2)

Neither rho, the correlation of the items' outcomes, nor the outcomes themselves are published.
rho = 0 gives the independent test. For the paired test, we report the smallest rho at which |z|
exceeds 1.96.
"""

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from ConfigSpace import ConfigurationSpace

from experiments.paper.numbers import Cell, Facts, Source, Table, count, number, words
from experiments.paper.pictures import NAMES
from experiments.paper.published import (
    ALGORITHMS,
    N_HELLASWAG,
    Point,
    Published,
    incumbent,
)
from experiments.paper.study_figures import METRICS, PARAMETERS
from experiments.paper.study_figures import correlations as linear_correlations

PRINTED = "paper/printed.yaml"
SETTINGS = "conf/objective/lora_published.yaml"
_Z = 1.96


def space(printed: Mapping[str, Any], run: ConfigurationSpace) -> Table:
    """Return Table 1: the space according to the paper's text, its table, and the runs."""
    rows = []
    for name, given in printed["space"].items():
        parameter: Any = run[name]
        ends = [float(parameter.lower), float(parameter.upper)]
        is_log = bool(parameter.log)
        cells = [
            Cell(_interval(given[key], is_log), _interval(given[key], is_log), _from(key, name))
            for key in ("text", "table")
        ]
        told = _interval(ends, is_log) + (", log" if is_log else "")
        cells.append(Cell(told, told, {"settings": SETTINGS, "key": f"space.{name}"}))
        rows.append((name, cells))
    return Table("space", ["parameter", "text", "Table 1", "as run"], rows, "llll")


def _from(key: str, name: str) -> Source:
    return {"transcribed": PRINTED, "key": f"space.{name}.{key}"}


def _interval(ends: list[float], is_log: bool) -> str:
    if is_log:
        low, high = (round(math.log10(end)) for end in ends)
        return f"$10^{{{low}}}$ to $10^{{{high}}}$"
    return f"{ends[0]:g} to {ends[1]:g}"


def upper(printed: Mapping[str, Any]) -> Facts:
    """Return the paper's upper bounds, which it takes from a model card."""
    names = {"UpperHellaSwag": "hellaswag", "UpperMmlu": "mmlu"}
    cells = {
        name: number(printed["upper"][key], 1, {"transcribed": PRINTED, "key": f"upper.{key}"})
        for name, key in names.items()
    }
    return Facts("upper", cells)


def box_facts(printed: Mapping[str, Any], study: Published) -> Facts:
    """Return how many of the evaluations are inside the box that Table 1 prints."""
    box = {name: given["table"] for name, given in printed["space"].items()}
    inside = [
        point
        for point in study.evaluated()
        if all(low <= float(point.config[name]) <= high for name, (low, high) in box.items())
    ]
    best = incumbent(inside)
    return Facts(
        "space_facts",
        {
            "BoxRows": count(len(inside), study.source(inside)),
            "AllRows": count(len(study.evaluated()), study.source(study.evaluated())),
            "BoxBest": number(best.hellaswag, 3, study.source([best])),
        },
    )


def scores(printed: Mapping[str, Any], study: Published) -> Table:
    """Return Table 2 in percent: as printed, as recomputed, and at the incumbent."""
    best = {name: incumbent(study.evaluated(name)) for name in ALGORITHMS}
    most = {name: max(study.evaluated(name), key=lambda point: point.mmlu) for name in ALGORITHMS}

    def transcribed(metric: str) -> list[Cell]:
        return [
            number(value / 100, 2, {"transcribed": PRINTED, "key": f"scores.{metric}.{name}"}, 100)
            for name, value in printed["scores"][metric].items()
        ]

    def recomputed(points: Mapping[str, Point], name: str) -> list[Cell]:
        return [
            number(getattr(point, name), 2, study.source([point]), 100) for point in points.values()
        ]

    rates = [number(point.log10_rate, 1, study.source([point])) for point in best.values()]
    n_true = [
        count(len(study.evaluated(name)), study.source(study.evaluated(name)))
        for name in ALGORITHMS
    ]
    rows = [
        ("HellaSwag, printed", transcribed("hellaswag")),
        ("HellaSwag, best", recomputed(best, "hellaswag")),
        ("standard error of it", recomputed(best, "hellaswag_se")),
        ("log10 learning rate of it", rates),
        ("", []),
        ("MMLU, printed", transcribed("mmlu")),
        ("MMLU, best of any evaluation", recomputed(most, "mmlu")),
        ("MMLU at the HellaSwag incumbent", recomputed(best, "mmlu")),
        ("standard error of the latter", recomputed(best, "mmlu_se")),
        ("", []),
        ("true evaluations", n_true),
    ]
    return Table("scores", ["", *ALGORITHMS], rows)


def differences(study: Published) -> Table:
    """Return the differences of the six pairs at the incumbents, with z, p and the needed rho."""
    best = {name: incumbent(study.evaluated(name)) for name in ALGORITHMS}
    rows = []
    for first, second in combinations(ALGORITHMS, 2):
        source = study.source([best[first], best[second]])
        cells = []
        for metric in ("hellaswag", "mmlu"):
            d, z = z_test(best[first], best[second], metric)
            cells += [
                number(d, 2, source, 100),
                number(z, 2, source),
                number(two_sided(z), 2, source),
                _needed(z, source),
            ]
        rows.append((f"{first} and {second}", cells))
    parts = ("difference", "$z$", "$p$", r"$\rho$ needed")
    columns = ["pair", *(f"{metric}, {part}" for metric in ("HellaSwag", "MMLU") for part in parts)]
    return Table(
        "differences", columns, rows, groups=[("HellaSwag", 4), ("MMLU at the incumbent", 4)]
    )


def z_test(first: Point, second: Point, metric: str) -> tuple[float, float]:
    """Return the difference of two accuracies and its z, assuming independent items."""
    d = float(getattr(first, metric) - getattr(second, metric))
    errors = [getattr(point, f"{metric}_se") for point in (first, second)]
    return d, d / math.hypot(*errors)


def two_sided(z: float) -> float:
    """Return the two-sided p-value of a standard normal variable."""
    return math.erfc(abs(z) / math.sqrt(2))


def _needed(z: float, source: Source) -> Cell:
    """Return the correlation above which a paired test exceeds 1.96, assuming equal errors."""
    if z == 0:
        return Cell(None, "--", source)
    return number(1 - (z / _Z) ** 2, 3, source)


def verdict(study: Published) -> Facts:
    """Return which differences in Table 2 are significant, as numbers and as a sentence."""
    best = {name: incumbent(study.evaluated(name)) for name in ALGORITHMS}
    source = study.source(best.values())
    pairs = list(combinations(best.values(), 2))
    z = {metric: [z_test(*pair, metric) for pair in pairs] for metric in ("hellaswag", "mmlu")}
    items = max(round(abs(d) * N_HELLASWAG) for d, _ in z["hellaswag"])
    largest = {metric: max(abs(value) for _, value in tests) for metric, tests in z.items()}
    least = {metric: two_sided(value) for metric, value in largest.items()}
    told = "No difference is significant" if min(least.values()) >= 0.05 else "Some differ"
    return Facts(
        "verdict",
        {
            "VerdictWords": words(told, source),
            "MostItems": count(items, source),
            "HellaSwagLargestZ": number(largest["hellaswag"], 2, source),
            "HellaSwagDifferenceError": number(
                math.hypot(best["BO-GP"].hellaswag_se, best["SOO"].hellaswag_se), 5, source
            ),
            "MmluLeastP": number(least["mmlu"], 3, source),
            "MmluLargestZ": number(largest["mmlu"], 2, source),
            "MmluRhoNeeded": number(1 - (largest["mmlu"] / _Z) ** 2, 2, source),
            "HellaSwagRhoNeeded": number(1 - (largest["hellaswag"] / _Z) ** 2, 3, source),
        },
    )


def correlations(study: Published) -> Table:
    """Return the linear correlations of figure 2, computed from the rows of the LHS."""
    points = study.of("LHS")
    names = [NAMES[name] for name in (*PARAMETERS, *METRICS)]
    rows = [
        (name, [number(float(value), 2, study.source(points)) for value in row])
        for name, row in zip(names, linear_correlations(points), strict=True)
    ]
    return Table("correlations", ["", *names], rows)
