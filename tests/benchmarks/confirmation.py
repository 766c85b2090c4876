"""The confirmatory comparison of `gp_bo` with its peers, as conf/experiment/confirmation.yaml says.

    python tests/benchmarks/confirmation.py results/confirmation
    python tests/benchmarks/confirmation.py results/confirmation peers=tpe,cma_es

With `peers=`, the tables are about other peers than the hypotheses, or some of them.

Prints Markdown: mean ranks, and for each set of functions, budget and peer the difference of the
mean log10 regrets with its corrected p. Every comparison uses the runs that both optimizers have.
The hypotheses are fixed; this file was tagged with them before the first run.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon

from experiments.analysis.results import Run, load
from experiments.analysis.statistics.paired import holm

OURS = "gp_bo"
PEERS = ("botorch", "optuna", "tpe", "smac_rf", "cma_es")
MARKS = (20, 30, 50)
FLOOR = 1e-8
LEVEL = 0.01

Key = tuple[str, str, int]
"""The function, the kind of shift, and the seed."""

SETS: dict[str, Callable[[Key], bool]] = {
    "all functions": lambda key: True,
    "optimum anywhere": lambda key: key[1] == "anywhere",
    "BBOB": lambda key: key[0].startswith("bbob"),
    "other families": lambda key: not key[0].startswith("bbob"),
}
"""The first is the hypothesis; the others are secondary."""


def key_of(run: Run) -> Key:
    """Return what a run's problem is."""
    settings = run.header.objective
    shift = str(settings.get("shift"))
    kind = "anywhere" if shift.startswith("anywhere") else "usual"
    return f"{run.header.names['objective']} {settings['function']}", kind, run.seed


def regrets(runs: Iterable[Run]) -> dict[str, dict[Key, NDArray[np.float64]]]:
    """Return log10 regrets (marks,) by optimizer and problem, those of finished runs only."""
    table: dict[str, dict[Key, NDArray[np.float64]]] = defaultdict(dict)
    for run in runs:
        if not run.ended or len(run.ids) < MARKS[-1]:
            continue
        assert run.header.optimum is not None
        best = np.fmin.accumulate(np.where(run.failed, np.inf, run.values)) - run.header.optimum
        found = np.log10(np.maximum(best, FLOOR))
        table[run.header.names["optimizer"]][key_of(run)] = found[[mark - 1 for mark in MARKS]]
    return table


def by_function(
    table: dict[Key, NDArray[np.float64]], keys: Iterable[Key]
) -> dict[str, NDArray[np.float64]]:
    """Return the mean log10 regrets (marks,) of each function over some problems."""
    groups: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for key in keys:
        groups[key[0]].append(table[key])
    return {function: np.mean(values, axis=0) for function, values in groups.items()}


def ranks(table: dict[str, dict[Key, NDArray[np.float64]]], chosen: Callable[[Key], bool]) -> str:
    """Return the mean ranks over functions of all optimizers, on the problems that all have."""
    names = sorted(table)
    keys = [key for key in set.intersection(*(set(table[n]) for n in names)) if chosen(key)]
    means = {name: by_function(table[name], sorted(keys)) for name in names}
    functions = sorted(means[OURS])
    values = np.array([[means[name][f] for f in functions] for name in names])
    found = rankdata(values, axis=0).mean(axis=1)
    order = sorted(range(len(names)), key=lambda place: found[place, -1])
    lines = [
        f"| {len(functions)} functions, {len(keys)} problems | {' | '.join(map(str, MARKS))} |"
    ]
    lines += ["|---|" + "---|" * len(MARKS)]
    for place in order:
        cells = " | ".join(f"{rank:.2f}" for rank in found[place])
        lines.append(f"| {names[place]}{'†' if names[place] == OURS else ''} | {cells} |")
    return "\n".join(lines)


def comparisons(
    table: dict[str, dict[Key, NDArray[np.float64]]],
    chosen: Callable[[Key], bool],
    peers: Sequence[str],
) -> str:
    """Return, for each budget and peer, the difference and whether it is distinguishable."""
    lines = ["| evaluations | peer | functions | mean difference | ahead on | p (Holm) | |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for column, mark in enumerate(MARKS):
        deltas = []
        for peer in peers:
            common = sorted(key for key in set(table[OURS]) & set(table[peer]) if chosen(key))
            ours, theirs = by_function(table[OURS], common), by_function(table[peer], common)
            deltas.append(np.array([ours[f][column] - theirs[f][column] for f in ours]))
        for peer, delta, p in zip(
            peers, deltas, holm([float(wilcoxon(d).pvalue) for d in deltas]), strict=True
        ):
            words = "ahead" if delta.mean() < 0 else "behind"
            words = f"{words} (p < {LEVEL:g})" if p < LEVEL else "not distinguishable"
            lines.append(
                f"| {mark} | {peer} | {len(delta)} | {delta.mean():+.2f} | "
                f"{int((delta < 0).sum())} | {p:.2g} | {words} |"
            )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    peers: tuple[str, ...] = PEERS
    if len(arguments) == 2 and arguments[1].startswith("peers="):
        peers = tuple(arguments.pop().removeprefix("peers=").split(","))
    if len(arguments) != 1 or not Path(arguments[0]).exists():
        print(f"confirmation: expected a folder of results, got {' '.join(arguments) or 'none'}")
        return 2
    table = regrets(load([Path(arguments[0])]))
    missing = [name for name in (OURS, *peers) if name not in table]
    if missing:
        print(f"confirmation: expected finished runs of {missing[0]}, got none")
        return 2
    for title, chosen in SETS.items():
        print(f"## {title.capitalize()}\n\nMean ranks:\n\n{ranks(table, chosen)}\n")
        print(
            f"{OURS} against each peer, in log10 regret:\n\n{comparisons(table, chosen, peers)}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
