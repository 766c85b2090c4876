"""Runs from several sources, such as our pack and somebody else's: merged, or kept apart, and said.

A run is identified by its settings, seed, versions and fingerprint. If two sources hold the same
run, it is kept once where its evaluations agree (an unfinished copy is a part of a later one).
Where they do not agree, such as for another version of a library, all runs of that optimizer are
kept apart by their source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from experiments.running.packed import PACK
from experiments.running.terminal import printable

if TYPE_CHECKING:
    from experiments.analysis.results import Run

_MOST_NAMED = 6
_COMMIT = re.compile(r"(?:^|-g)([0-9a-f]{7,40})(-dirty)?$")
"""A commit, which earlier versions wrote after the name of the last tag."""


def merged(groups: Sequence[tuple[str, Sequence[Run]]]) -> list[Run]:
    """Return the runs of all sources, each with its source.

    Args:
        groups: the path of each source as given, and its runs. Within one source, the later one of
            two equal runs counts.
    """
    found: dict[tuple[str, float], list[Run]] = {}
    for path, runs in groups:
        own = {(run.header.identity, run.budget): replace(run, source=path) for run in runs}
        for key, run in own.items():
            copies = found.setdefault(key, [])
            twin = next((i for i, other in enumerate(copies) if agree(run, other)), None)
            if twin is None:
                copies.append(run)
            elif len(run.ids) >= len(copies[twin].ids):
                copies[twin] = replace(run, source=copies[twin].source)
    every = [run for copies in found.values() for run in copies]
    apart = {
        run.header.names["optimizer"]
        for copies in found.values()
        if len(copies) > 1
        for run in copies
    }
    names = _names([path for path, _ in groups])
    return [
        replace(run, replica=names[run.source]) if run.header.names["optimizer"] in apart else run
        for run in every
    ]


def agree(one: Run, other: Run) -> bool:
    """Return whether two runs have the same evaluations, as far as both go."""
    n = min(len(one.ids), len(other.ids))
    return (
        np.array_equal(one.ids[:n], other.ids[:n])
        and np.array_equal(one.values[:n], other.values[:n], equal_nan=True)
        and one.configs[:n] == other.configs[:n]
    )


def _names(paths: Sequence[str]) -> dict[str, str]:
    """Return a short name for each path: that of its folder or file, if these differ."""
    parts = [PurePath(path) for path in paths]
    short = [part.parent.name if part.name == PACK else part.name for part in parts]
    unique = len(set(short)) == len(set(paths)) and all(short)
    return dict(zip(paths, short if unique else paths, strict=True))


def facts(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Return what is known of each source, in the order of the sources' names.

    The keys are source, runs, optimizers, objectives, code, hardware, made, and packages, which
    names those that differ between the sources or within one.
    """
    by_source: dict[str, list[Run]] = {}
    for run in runs:
        by_source.setdefault(run.source, []).append(run)
    versions = {source: _versions(own) for source, own in by_source.items()}
    packages = sorted({name for each in versions.values() for name in each})
    differ = [
        name
        for name in packages
        if len({versions[source].get(name, "none") for source in by_source}) > 1
        or any(" or " in versions[source].get(name, "") for source in by_source)
    ]
    return [
        {
            "source": printable(source) or "–",
            "runs": str(len(own)),
            "optimizers": _few(run.optimizer for run in own),
            "objectives": _few(run.objective for run in own),
            "code": _few(code_of(run) for run in own),
            "hardware": _few(hardware_of(run) for run in own),
            "made": _days([run.header.time for run in own]),
            "packages": ", ".join(
                f"{name} {versions[source].get(name, 'none')}" for name in differ
            ),
        }
        for source, own in sorted(by_source.items())
    ]


def notes(runs: Sequence[Run]) -> list[str]:
    """Return a line for each source, if there are several, and one on runs that are kept apart."""
    found = facts(runs)
    if len(found) < 2:
        return []
    said = [
        f"{each['source']}: {each['runs']} runs of {each['optimizers']} on {each['objectives']}; "
        f"tuneoff {each['code']}; {each['hardware']}"
        + (f"; packages that differ: {each['packages']}" if each["packages"] else "")
        for each in found
    ]
    apart = sorted({run.header.names["optimizer"] for run in runs if run.replica})
    if apart:
        said.append(
            f"the sources hold the same runs of {', '.join(map(printable, apart))} with different "
            f"evaluations, so these are kept apart by source"
        )
    return said


def code_of(run: Run) -> str:
    """Return the version and the shortened commit of tuneoff that made a run."""
    commit = run.header.code.get("commit", "")
    found = _COMMIT.search(commit)
    short = found[1][:10] + (found[2] or "") if found else commit
    return " ".join(filter(None, [run.header.code.get("version"), short])) or "unknown"


def hardware_of(run: Run) -> str:
    """Return the hardware that a run was made on."""
    return ", ".join(f"{k} {v}" for k, v in run.header.hardware.items()) or "unknown"


def _versions(runs: Sequence[Run]) -> dict[str, str]:
    """Return the versions of each package; several are joined by "or"."""
    seen: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, version in run.header.versions.items():
            seen.setdefault(name, {})[str(version)] = None
    return {name: " or ".join(sorted(each)) for name, each in seen.items()}


def _few(texts: Iterable[str]) -> str:
    each = list(dict.fromkeys(texts))
    more = f" and {len(each) - _MOST_NAMED} more" if len(each) > _MOST_NAMED else ""
    return printable(", ".join(each[:_MOST_NAMED]) + more)


def _days(times: Sequence[float]) -> str:
    """Return the first and the last day of some times, in seconds since 1970."""
    known = [time for time in times if 0 < time < 1e11]
    if not known:
        return "unknown"
    days = [f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d}" for time in (min(known), max(known))]
    return days[0] if days[0] == days[1] else " to ".join(days)
