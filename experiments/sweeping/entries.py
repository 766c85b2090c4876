"""The lists of an experiment's YAML file, with all ranges expanded: entries, seeds and workers.

An entry is a name and then overrides in Hydra's grammar, as after `optimizer=` on the command line.
"""

import itertools
import shlex
from collections.abc import Iterator
from typing import Any

from experiments.running.composing import values
from objectives.plain_yaml import parsed

_MOST = 100_000  # the largest number of values of one setting; more is probably a typing error


def workers_of(given: Any) -> tuple[Any, ...]:
    """Return the numbers of workers given in the form `4` or `[1, 4, 16]`."""
    workers = tuple(given) if isinstance(given, list) else (given,)
    if not workers or len(set(map(str, workers))) < len(workers):
        rule = "different numbers" if workers else "at least one number"
        raise ValueError(f"workers: expected {rule}, got {given}; for example [1, 4, 16]")
    return workers


def seeds_of(given: Any) -> list[int]:
    """Return the seeds given in the form `3`, `[0, 1, 2]`, `0,1,2` or `range(0,30)`."""
    seeds = given if isinstance(given, list) else [given]
    if isinstance(given, str):
        seeds = [_seed(word.split("=", 1)[1]) for word in _values("seeds", f"seed={given}")]
    if not seeds or len(set(map(str, seeds))) < len(seeds):
        rule = "different seeds" if seeds else "at least one seed"
        raise ValueError(f"seeds: expected {rule}, got {given}; for example range(0,30)")
    return seeds


def _seed(text: str) -> Any:
    """Return a seed as a YAML file has it, by the same rules as everywhere."""
    try:
        return parsed(text)
    except ValueError:
        return text  # which is refused as a seed


def named_entry(family: str, entry: Any) -> str:
    """Return an entry; raise `ValueError` unless it is text."""
    if not isinstance(entry, str):
        raise ValueError(f"{family}: expected a name with its overrides, got {entry!r}")
    return entry


def expanded(family: str, given: Any) -> Iterator[str]:
    """Yield the entries of a family with all ranges expanded."""
    if not isinstance(given, list) or not given or not all(isinstance(e, str) for e in given):
        raise ValueError(f"{family}: expected a list of names with their overrides, got {given!r}")
    for entry in given:
        name, *overrides = words_of(family, entry)
        for words in itertools.product(*(_values(family, override) for override in overrides)):
            yield shlex.join([name, *words])


def _values(where: str, override: str) -> list[str]:
    """Return a list with one override for each value."""
    overrides = list(itertools.islice(values(where, override), _MOST + 1))
    if len(overrides) > _MOST:
        raise ValueError(f"{where}: expected at most {_MOST} values, got {override}")
    return overrides


def words_of(where: str, entry: str) -> list[str]:
    """Return the name and the overrides of an entry."""
    try:
        words = shlex.split(entry)
    except ValueError as error:
        raise ValueError(f"{where}: expected a name and overrides, got {entry}: {error}") from None
    if not words:
        raise ValueError(f"{where}: expected a name and overrides, got {entry!r}")
    return words


def shown(entry: str) -> str:
    """Return an entry without shell quotes."""
    return " ".join(words_of("entry", entry))


def name_of(entry: str) -> str:
    """Return the name of the YAML file that an entry begins with."""
    return entry.split(maxsplit=1)[0]
