"""Objectives made again from the settings in logs, for what the logs do not say.

Only where that is cheap and safe: every class named there is an `Objective` that says it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from hydra.utils import instantiate

from experiments.analysis.results import Run
from experiments.analysis.statistics.anytime import problem
from experiments.running.old_names import renamed
from objectives.objective import Objective


def made_again(runs: Sequence[Run]) -> dict[str, Objective]:
    """Return the objectives that can be made again, by `problem(run)`."""
    settings = {problem(run): renamed(run.header["objective"]) for run in runs}
    made = {key: _make(each) for key, each in settings.items()}
    return {key: objective for key, objective in made.items() if objective is not None}


def _make(settings: Any) -> Objective | None:
    try:
        if not all(_is_cheap(target) for target in _targets(settings)):
            return None
        made = instantiate(settings, _convert_="all")
    except Exception:  # another version of the code, no data, a package that is not here
        return None
    return made if isinstance(made, Objective) else None


def _targets(settings: Any) -> Iterator[str]:
    nested = settings.items() if isinstance(settings, dict) else enumerate(settings)
    for key, value in nested:
        if key == "_target_":
            yield value
        elif isinstance(value, (dict, list)):
            yield from _targets(value)


def _is_cheap(target: str) -> bool:
    module, _, name = target.rpartition(".")
    found = getattr(import_module(module), name)
    return isinstance(found, type) and issubclass(found, Objective) and found.cheap


def known_optima(runs: Sequence[Run], made: Mapping[str, Objective]) -> dict[str, float]:
    """Return the known optima by problem: the log's, or that of the same version made again."""
    optima: dict[str, float] = {}
    for key, run in {problem(run): run for run in runs}.items():
        optimum = run.header.get("optimum")
        again = made.get(key)
        if optimum is None and again is not None:
            same = again.version == run.header["fingerprint"].get("version")
            optimum = again.optimum if same else None
        if optimum is not None:
            optima[key] = float(optimum)
    return optima
