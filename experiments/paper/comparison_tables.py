"""The 30-seed comparison as tables, sentences and curves."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.analysis.statistics.intervals import interval
from experiments.paper.comparison import (
    NEAR,
    Comparison,
    Sample,
    compare,
)
from experiments.paper.numbers import Cell, Facts, Section, Source, Table, count, number, words
from experiments.paper.pictures import BLUE, DARK, LIGHT, figure
from experiments.paper.published import Floats

_LEAST_REGRET = 1e-5  # the smallest regret on the logarithmic axis


def sections(samples: Sequence[Sample], path: str) -> list[Section]:
    """Return the tables and the sentences."""
    fixed = {sample.name for sample in samples if sample.fixed}
    until = compare({sample.name: sample.until for sample in samples}, fixed)
    mmlu = compare({sample.name: sample.mmlu for sample in samples}, fixed)
    return [
        _summary(samples, until, path),
        _matrix("pairs_until", samples, until, path),
        _matrix("pairs_mmlu", samples, mmlu, path),
        _words(samples, until, mmlu, path),
    ]


def _source(samples: Sequence[Sample], path: str) -> Source:
    return {"results": path, "runs": "; ".join(sample.runs for sample in samples)}


def _summary(samples: Sequence[Sample], until: Sequence[Comparison], path: str) -> Table:
    budget = samples[0].regret.shape[1]
    rows = []
    for sample in samples:
        source = _source([sample], path)
        counts = {-1: 0, 1: 0}
        for pair in until:
            if pair.distinguishable and sample.name in (pair.first, pair.second):
                counts[pair.sign if pair.first == sample.name else -pair.sign] += 1
        everyone = _source(samples, path)
        cells = [
            Cell(sample.reached, f"{sample.reached}/{len(sample.seeds)}", source),
            *(_evaluations(q, sample, budget, source) for q in (0.5, 0.25, 0.75)),
            number(float(np.median(sample.best)), 2, source, 100),
            number(float(np.median(sample.mmlu)), 2, source, 100),
            words(_spread(sample.mmlu), source),
            count(counts[-1], everyone),
            count(counts[1], everyone),
        ]
        rows.append((_label(sample), cells))
    columns = ["optimizer", "reached", "median", "25 %", "75 %", "HellaSwag", "MMLU"]
    return Table("comparison", [*columns, "its quartiles", "faster than", "slower than"], rows)


def _label(sample: Sample) -> str:
    return f"{sample.name}$^*$" if sample.fixed else sample.name


def _evaluations(share: float, sample: Sample, budget: int, source: Source) -> Cell:
    """Return a quantile over the seeds; a run that never reached the plateau counts as infinite.

    The median of an even number of runs is the mean of the two middle ones. Any other quantile is
    the value of the nearest run.
    """
    nearest = np.quantile(sample.until, share, method="nearest")
    value = float(np.median(sample.until) if share == 0.5 else nearest)
    if value > budget:
        return Cell(None, f"$>${budget}", source)
    return number(value, 0 if value.is_integer() else 1, source)


def _spread(values: Floats) -> str:
    if np.ptp(values) == 0:
        return "no spread"
    low, high = np.quantile(values, [0.25, 0.75]) * 100
    return f"{low:.2f}--{high:.2f}"


def _matrix(name: str, samples: Sequence[Sample], pairs: Sequence[Comparison], path: str) -> Table:
    """Return for every pair whether the row's values are lower, higher, or not distinguishable."""
    known = {(pair.first, pair.second): pair for pair in pairs}
    rows = []
    for i, sample in enumerate(samples):
        cells = []
        for j, other in enumerate(samples):
            source = _source([sample, other], path)
            if i == j:
                cells.append(Cell(None, "", _source([sample], path)))
                continue
            pair = known[(sample.name, other.name) if i < j else (other.name, sample.name)]
            sign = pair.sign if i < j else -pair.sign
            shown = {-1: "$<$", 0: "$\\cdot$", 1: "$>$"}[sign if pair.distinguishable else 0]
            cells.append(Cell(pair.p, "--" if pair.p is None else shown, source))
        rows.append((f"{i + 1} {_label(sample)}", cells))
    columns = ["", *(str(i + 1) for i in range(len(samples)))]
    return Table(name, columns, rows, "l" + "c" * len(samples))


def _words(
    samples: Sequence[Sample],
    until: Sequence[Comparison],
    mmlu: Sequence[Comparison],
    path: str,
) -> Facts:
    source = _source(samples, path)
    gap = max((abs(_gap(samples, pair)) for pair in mmlu if pair.distinguishable), default=0.0)
    fixed = [sample.name for sample in samples if sample.fixed]
    return Facts(
        "comparison_words",
        {
            "Seeds": count(len(samples[0].seeds), source),
            "Optimizers": count(len(samples), source),
            "Evaluations": count(samples[0].regret.shape[1], source),
            "Near": number(NEAR, 3, source),
            "UntilPairs": count(sum(pair.p is not None for pair in until), source),
            "UntilDistinguishable": count(sum(p.distinguishable for p in until), source),
            "MmluPairs": count(sum(pair.p is not None for pair in mmlu), source),
            "MmluDistinguishable": count(sum(p.distinguishable for p in mmlu), source),
            "MmluLargestGap": number(gap, 4, source),
            "UntilWords": words(_sentences(samples, until, "needs fewer evaluations"), source),
            "MmluWords": words(
                _sentences(samples, [_turned(p) for p in mmlu], "ends at a higher MMLU"), source
            ),
            "FixedWords": words(_listed(fixed) if fixed else "none of them", source),
        },
    )


def _gap(samples: Sequence[Sample], pair: Comparison) -> float:
    medians = {sample.name: float(np.median(sample.mmlu)) for sample in samples}
    return medians[pair.first] - medians[pair.second]


def _turned(pair: Comparison) -> Comparison:
    return Comparison(pair.first, pair.second, pair.p, -pair.sign)


def _sentences(samples: Sequence[Sample], pairs: Sequence[Comparison], verb: str) -> str:
    """Return sentences on which optimizer is significantly better; lower values are better."""
    told = []
    for sample in samples:
        beaten = [
            other.name
            for other in samples
            for pair in pairs
            if pair.distinguishable and _winner(pair) == (sample.name, other.name)
        ]
        if len(beaten) == len(samples) - 1:
            told.append(f"{sample.name} {verb} than every other")
        elif beaten:
            told.append(f"{sample.name} {verb} than {_listed(beaten)}")
    return "; ".join(told) if told else "no pair can be told apart"


def _winner(pair: Comparison) -> tuple[str, str]:
    names = pair.first, pair.second
    return names if pair.sign < 0 else names[::-1]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def anytime(samples: Sequence[Sample]) -> Figure:
    """Draw the median regret with bootstrap intervals over evaluations, one panel per optimizer."""
    n_columns = 4 if len(samples) > 6 else 3
    n_rows = -(-len(samples) // n_columns)
    made = figure(1.45 * n_rows + 0.3)
    panels = made.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    medians = [np.maximum(np.median(s.regret, axis=0), _LEAST_REGRET) for s in samples]
    for axes in panels.flat[len(samples) :]:
        axes.set_visible(False)
    for axes, sample, own in zip(panels.flat, samples, medians, strict=False):
        times = np.arange(1, len(own) + 1)
        for other in medians:
            axes.step(times, other, where="post", color=LIGHT, linewidth=0.6)
        if not sample.fixed:
            ends = interval(np.maximum(sample.regret, _LEAST_REGRET))
            axes.fill_between(times, *ends, step="post", color=BLUE, alpha=0.3, linewidth=0)
        axes.step(times, own, where="post", color=DARK)
        axes.axhline(NEAR, color=DARK, linestyle=":", linewidth=0.8)
        axes.set_yscale("log")
        note = " (no spread)" if sample.fixed else ""
        axes.set_title(f"{sample.name}{note}", loc="left")
    made.supxlabel("evaluations", fontsize=8)
    made.supylabel("optimum less best HellaSwag so far", fontsize=8)
    return made
