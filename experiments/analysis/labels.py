"""Labels of optimizers and objectives: the name, and the settings in which runs of it differ."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from experiments.running.header import Header
from experiments.running.identity import UNSET
from experiments.running.looks import OWN
from experiments.running.terminal import printable


def is_own(label: str) -> bool:
    """Return whether an optimizer's label is marked."""
    return label.split(" ")[0].endswith(OWN)


_CLOCK = "clock."
"""Begins the keys of the settings of a simulated clock."""


class Labelled(Protocol):
    """A run that can be labelled; only its header and its seed are used."""

    @property
    def header(self) -> Header: ...

    @property
    def seed(self) -> int: ...


def labels_of(runs: Sequence[Labelled], replicas: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return the labels of each run's optimizer and objective.

    Different settings give different labels. The name of an optimizer that is this suite's own
    method ends in a dagger. Control characters become visible escapes, because a label may come
    from an untrusted log and is printed in terminals.

    Args:
        runs: the runs.
        replicas: for each run, the name of its source if it is kept apart by source, or "".
    """
    optimizers = _labels(runs, "optimizer", seeds=False, replicas=replicas)
    objectives = _labels(runs, "objective", seeds=True)
    return list(zip(map(_shown, optimizers), map(_shown, objectives), strict=True))


def _shown(label: str) -> str:
    """Return a label on one line, with control characters as visible escapes."""
    return printable(label.replace("\n", r"\n").replace("\t", r"\t"))


def _labels(
    runs: Sequence[Labelled], family: str, seeds: bool, replicas: Sequence[str] = ()
) -> list[str]:
    """Return each run's name with the settings in which runs of that name differ.

    The workers and the clock of a run count as settings of its optimizer, as do the version of the
    optimizer's class and, of runs that several sources made differently, the source. A setting
    that equals the run's budget in all of them, such as a design's number of points, is not a
    difference. The number of given start configurations counts as the setting `start`, and the
    names of the folders of earlier runs as `transfer`. Clocks are compared within each objective,
    because a clock has fewer settings where an objective simulates its costs.
    """
    settings = [dict(_flat(getattr(run.header, family))) for run in runs]
    if not seeds:  # optimizers
        for i, (own, run) in enumerate(zip(settings, runs, strict=True)):
            own["start"] = len(run.header.start)
            own["transfer"] = str(run.header.transfer or "none")
            own["workers"] = run.header.workers
            own["version"] = run.header.optimizer_version
            own["source"] = replicas[i] if replicas else ""
            own.update(_flat(run.header.clock or {}, _CLOCK))
    groups: dict[str, list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        groups[run.header.names[family]].append(i)
    shown: dict[str, list[str]] = {}
    for name, members in groups.items():
        keys = list(dict.fromkeys(key for i in members for key in settings[i]))
        if seeds:
            for key in keys:
                _name_seed(key, [settings[i] for i in members], [runs[i].seed for i in members])
        told = [(runs[i].header.names["objective"], settings[i]) for i in members]
        shown[name] = [
            key
            for key in keys
            if _differs(key, told)
            if any(settings[i].get(key) != runs[i].header.budget for i in members)
        ]
    labels = []
    for run, own in zip(runs, settings, strict=True):
        name = run.header.names[family]
        mark = OWN if not seeds and run.header.own else ""
        words = [name + mark, *(f"{key}={own.get(key)}" for key in shown[name])]
        labels.append(" ".join(words))
    return labels


def _differs(key: str, told: Sequence[tuple[str, dict[str, Any]]]) -> bool:
    """Return whether a setting has several values; for a clock's setting, on one objective."""
    values: dict[str, set[str]] = defaultdict(set)
    for objective, settings in told:
        values[objective if key.startswith(_CLOCK) else ""].add(repr(settings.get(key)))
    return any(len(each) > 1 for each in values.values())


def _name_seed(key: str, settings: Sequence[dict[str, Any]], seeds: Sequence[int]) -> None:
    """Replace the values of a setting that follow the seed by "seed".

    A value follows the seed if it equals the seed of every run that has it, and the setting has
    several such values. So `shift=none` and `shift=${seed}` are two tasks for any number of seeds.
    A word may precede the seed, as in `shift=anywhere${seed}`, which becomes "anywhere+seed".
    """
    own: dict[str, set[int]] = defaultdict(set)
    texts: dict[str, Any] = {}
    for each, seed in zip(settings, seeds, strict=True):
        value = each.get(key)
        own[repr(value)].add(seed)
        texts[repr(value)] = value
    follow = {
        shown: named
        for shown, found in own.items()
        if len(found) == 1 and (named := _after_seed(texts[shown], *found)) is not None
    }
    counts = Counter(follow.values())
    for each in settings:
        named = follow.get(repr(each.get(key)))
        if named is not None and (counts[named] > 1 or len(follow) == len(own)):
            each[key] = named


def _after_seed(value: Any, seed: int) -> str | None:
    """Return what a setting that is the seed is called; None if it is not the seed."""
    if repr(value) == repr(seed):
        return "seed"
    word = re.fullmatch(r"([A-Za-z_]+)(\d+)", value) if isinstance(value, str) else None
    return f"{word[1]}+seed" if word and word[2] == str(seed) else None


def _one_word(value: dict[str, Any] | list[Any]) -> str:
    """Return goals or limits as on the command line, such as [f1,f2] or {f1:0,f2:1}."""
    if not all(re.fullmatch(r"[\w.]+", str(name)) for name in value):
        return repr(value)  # so that different settings have different labels
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return f"{{{','.join(f'{key}:{number}' for key, number in value.items())}}}"


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested settings by their dotted keys; goals and limits are one leaf."""
    for key, value in settings.items():
        if key in UNSET and isinstance(value, dict | list):
            yield f"{prefix}{key}", _one_word(value)
        elif isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
