"""What earlier runs are worth, from the runs of conf/experiment/transfer.yaml.

    python tests/benchmarks/transfer.py results/transfer

Prints Markdown. Regrets are compared seed by seed with those of the same optimizer without earlier
runs, by the exact signed-rank test; p is corrected by Holm over all comparisons at all budgets. The
level that counts evaluations is what the optimizer alone reaches after 25 in the median.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.analysis.results import Run, load
from experiments.analysis.statistics.paired import holm
from experiments.analysis.statistics.signed_rank import signed_rank

MARKS = (5, 10, 25, 50)
LEVEL = 0.05
ALONE, RELATED, MISLEADING = "alone", "related", "misleading"

Key = tuple[str, str, str]
"""The task, the optimizer and its earlier runs."""

Table = dict[Key, dict[int, NDArray[np.float64]]]
"""The regret after each evaluation, by seed."""


def regrets(runs: Iterable[Run]) -> Table:
    """Return the regrets of finished runs."""
    table: Table = defaultdict(dict)
    for run in runs:
        header = run.header
        if not run.ended or len(run.ids) < MARKS[-1]:
            continue
        assert header.optimum is not None
        told = ALONE if header.transfer is None else header.transfer.sources[0]
        task = str(header.objective.get("dataset", header.names["objective"]))
        best = np.fmin.accumulate(np.where(run.failed, np.inf, run.values)) - header.optimum
        table[task, header.names["optimizer"], told][run.seed] = best
    return table


def _paired(table: Table, task: str, optimizer: str, told: str, mark: int) -> NDArray[np.float64]:
    """Return the differences of regrets, with earlier runs minus without, of the common seeds."""
    ours, alone = table[task, optimizer, told], table[task, optimizer, ALONE]
    seeds = sorted(set(ours) & set(alone))
    return np.array([ours[seed][mark - 1] - alone[seed][mark - 1] for seed in seeds])


def _rows(table: Table) -> list[tuple[str, str]]:
    return sorted({(task, optimizer) for task, optimizer, _ in table})


def medians(table: Table) -> str:
    """Return the median regrets, and with earlier runs what the comparison says."""
    rows, told = _rows(table), (RELATED, MISLEADING)
    keys = [(*row, each, mark) for row in rows for each in told for mark in MARKS]
    tests = [signed_rank(_paired(table, *key)) for key in keys]
    corrected = holm([p for p, _ in tests])
    said = {
        key: "" if p >= LEVEL else (" better" if sign < 0 else " worse")
        for key, (_, sign), p in zip(keys, tests, corrected, strict=True)
    }
    lines = [f"| task | optimizer | earlier runs | {' | '.join(map(str, MARKS))} |"]
    lines.append("|---|---|---|" + "---|" * len(MARKS))
    for task, optimizer in rows:
        for each in (ALONE, *told):
            values = np.array(list(table[task, optimizer, each].values()))
            cells = [
                f"{np.median(values[:, mark - 1]):.4f}{said.get((task, optimizer, each, mark), '')}"
                for mark in MARKS
            ]
            lines.append(f"| {task} | {optimizer} | {each} | {' | '.join(cells)} |")
    return "\n".join(lines)


def evaluations(table: Table, mark: int = 25) -> str:
    """Return the median number of evaluations until the level of the optimizer alone."""
    lines = [
        "| task | optimizer | level | alone | related | misleading |",
        "|---|---|---|---|---|---|",
    ]
    for task, optimizer in _rows(table):
        alone = np.array(list(table[task, optimizer, ALONE].values()))
        level = float(np.median(alone[:, mark - 1]))
        cells = []
        for each in (ALONE, RELATED, MISLEADING):
            values = np.array(list(table[task, optimizer, each].values()))
            reached = values <= level
            first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, np.inf)
            middle = float(np.median(first))
            cells.append(f"{middle:g}" if np.isfinite(middle) else f"> {MARKS[-1]}")
        lines.append(f"| {task} | {optimizer} | {level:.4f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def over_tasks(table: Table) -> str:
    """Return, for each optimizer, on how many tasks the earlier runs made it better or worse."""
    rows = _rows(table)
    lines = ["| optimizer | earlier runs | evaluations | runs better / equal / worse |"]
    lines.append("|---|---|---|---|")
    for optimizer in sorted({name for _, name in rows}):
        for each in (RELATED, MISLEADING):
            for mark in MARKS:
                found = [
                    _paired(table, task, name, each, mark)
                    for task, name in rows
                    if name == optimizer
                ]
                signs = np.sign(np.concatenate(found))
                counts = " / ".join(str(int((signs == sign).sum())) for sign in (-1, 0, 1))
                lines.append(f"| {optimizer} | {each} | {mark} | {counts} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).exists():
        print(f"transfer: expected a folder of results, got {' '.join(arguments) or 'none'}")
        return 2
    table = regrets(load([Path(arguments[0])]))
    print(f"Median regret after evaluations:\n\n{medians(table)}\n")
    print(f"Median evaluations until the level of 25 alone:\n\n{evaluations(table)}\n")
    print(f"All tasks, seed by seed:\n\n{over_tasks(table)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
