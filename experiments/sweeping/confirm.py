"""`tuneoff confirm`: evaluate the best few configurations of each run again, with new seeds.

The evaluations of a run have a separate budget of top x repeats full evaluations. They are logged
below `out` in the usual format, with the identity of the run that they confirm. Repeating the
command resumes an interrupted confirmation. In each repeat, every setting of the objective that is
called `seed` receives a new value. If the objective has no such setting, repeats differ only by the
noise of new trials, if there is any.
"""

import copy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from experiments.analysis.results import Run, load, run_of
from experiments.analysis.statistics.incumbents import (
    Candidate,
    best_seen,
    candidates,
    confirmed,
    top,
)
from experiments.running import provenance
from experiments.running import run as execution
from experiments.running.composing import use_config_dirs
from experiments.running.readers import path as as_path
from experiments.running.readers import switch, whole
from experiments.running.rows import row_of
from experiments.running.settings import REQUIRED, Command, Given, Setting
from experiments.sweeping.remake import remake, with_paths
from objectives.heartbeat import Heartbeat
from objectives.objective import Deployment, Objective
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer


class Listed(Optimizer):
    """Proposes the given configurations in order, `repeats` times."""

    def __init__(
        self, space: ConfigurationSpace, *, seed: int, configs: Sequence[Config], repeats: int
    ) -> None:
        super().__init__(space, seed=seed)
        self._configs = [dict(config) for _ in range(repeats) for config in configs]

    def ask(self, n: int = 1) -> list[Trial]:
        here = self._n_trials
        return [self._trial(config) for config in self._configs[here : here + n]]

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        pass  # the proposals do not depend on the evaluations


class Reseeded(Objective):
    """An objective whose seeds change after every `n` trials."""

    def __init__(self, settings: dict[str, Any], n: int, repeats: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        drawn = [int(rng.integers(2**31)) for _ in range(repeats)]
        self._rounds = [reseeded(settings, new) for new in drawn]
        self._n, self._made = n, {0: remake(self._rounds[0])}
        first = self._made[0]
        self.space, self.noise_sd = first.space, first.noise_sd
        self.goals, self.limits = first.goals, first.limits
        self.optimum, self.default, self.coco = first.optimum, first.default, first.coco
        self.resources, self.version, self.cheap = first.resources, first.version, first.cheap

    def evaluate(self, trial: Trial) -> Evaluation:
        number = trial.id // self._n
        if number not in self._made:
            self._made = {number: remake(self._rounds[number])}  # keep only one: it may be large
        self._made[number].folder = self.folder
        return self._made[number].evaluate(trial)

    def deployment(self) -> Deployment | None:
        return next(iter(self._made.values())).deployment()

    def fingerprint(self) -> dict[str, Any]:
        return next(iter(self._made.values())).fingerprint()

    def notice(self) -> str | None:
        return next(iter(self._made.values())).notice()


def reseeded(settings: Any, seed: int) -> Any:
    """Return a copy of the settings in which every integer called `seed` is replaced."""
    if not isinstance(settings, dict):
        return copy.deepcopy(settings)
    return {
        key: seed if key == "seed" and isinstance(value, int) else reseeded(value, seed)
        for key, value in settings.items()
    }


def confirm(run: Run, out: Path, n: int, repeats: int, with_default: bool = False) -> Run | None:
    """Evaluate the best configurations of a run again.

    Args:
        run: the run.
        out: the folder of the new logs.
        n: the number of configurations.
        repeats: the number of evaluations of each configuration.
        with_default: whether the objective's default is evaluated too, if it has one.

    Returns:
        The run with the new evaluations; None if the run has no successful evaluation, or if it
        has several goals.

    Raises:
        ValueError: the objective differs from that of the run, or `out` contains another log.
        OSError: the log cannot be written.
    """
    if run.header.several:
        return None
    settings = run.header.objective
    original = remake(settings)
    noisy = original.noise_sd > 0 or reseeded(settings, -1) != settings
    chosen = top(run, original.noise_sd, n)
    if not chosen:
        return None
    rounds = repeats if noisy else 1  # without noise, one evaluation is enough
    configs = [one.config for one in chosen]
    if with_default and original.default is not None and original.default not in configs:
        configs.append(dict(original.default))
    again = Reseeded(settings, len(configs), rounds, _new_seed(run))
    anew = _Confirming(_settings(run, configs, rounds), again)
    if anew.header.fingerprint != run.header.fingerprint:
        raise ValueError(
            f"{run.objective}: expected the data and code of the run, {run.header.fingerprint}, "
            f"got {anew.header.fingerprint}"
        )
    folder = out / anew.folder_name
    if not anew.is_finished(anew.history(folder)):
        with anew.open(folder) as log:
            anew.execute(log)
    row = row_of(folder / "log.jsonl")
    assert row is not None
    return run_of(row)


class _Confirming(execution.Run):
    """A run whose optimizer is `Listed`."""

    def make_optimizer(self) -> Optimizer:
        given = {key: self.settings.optimizer[key] for key in ("configs", "repeats")}
        return Listed(self.objective.space, seed=self.settings.seed, **given)


def _settings(run: Run, configs: list[Config], repeats: int) -> execution.RunSettings:
    """Return the settings of the run with the optimizer `Listed` and its budget."""
    name = f"{run.header.names['optimizer']}_confirmed"
    return execution.RunSettings(
        names={**run.header.names, "optimizer": name},
        optimizer={
            "_target_": "experiments.sweeping.confirm.Listed",
            "configs": configs,
            "repeats": repeats,
            "confirms": run.header.identity,
        },
        objective=with_paths(run.header.objective),
        seed=run.seed,
        budget=float(len(configs) * repeats),
    )


def _new_seed(run: Run) -> int:
    """Return a seed that is derived from the run and that no other run uses."""
    return int(provenance.digest([run.header.identity, "confirm"])[:15], 16)


def lines(run: Run, again: Run | None) -> Iterator[str]:
    """Yield the lines that compare the best seen value with the confirmed one."""
    yield f"{run.optimizer} on {run.objective}, seed {run.seed}:"
    if run.header.several:
        yield "  several goals: only the best configurations of one goal can be confirmed"
        return
    seen = best_seen(run)
    if again is None or seen is None:
        yield "  no success to confirm"
        return
    anew = {str(one.config): one for one in candidates(again)}
    listed = again.header.optimizer["configs"]
    chosen = [anew[str(config)] for config in listed if config != again.header.default]
    default = anew.get(str(again.header.default))
    if not chosen:  # the default is the recommended configuration
        chosen = [anew[str(config)] for config in listed]
    yield f"  best seen    {seen.best:.6g}; again {_anew(anew.get(str(seen.config)))}"
    yield f"  recommended  {_anew(chosen[0])}"
    found = confirmed(chosen)
    yield f"  confirmed    {_anew(found)}: {found.config if found else 'every evaluation failed'}"
    if default is not None:
        yield f"  default      {_anew(default)}"


def _anew(one: Candidate | None) -> str:
    if one is None:
        return "not evaluated"
    failed = f", {one.n_failed} failed" if one.n_failed else ""
    if not len(one.values):
        return f"no success{failed}"
    error = "" if np.isnan(one.standard_error) else f" +- {one.standard_error:.2g}"
    return f"{one.mean:.6g}{error} ({len(one.values)} evaluations{failed})"


COMMAND = Command(
    "confirm",
    "Evaluate the best few configurations of each run again, and report the confirmed values.",
    [
        ("tuneoff confirm results/noisy out=results/confirmed", "top 3, five times each"),
        ("tuneoff confirm results/noisy out=results/confirmed top=1 repeats=10", "the best alone"),
    ],
    [
        Setting("out", "The folder of the new logs.", as_path, REQUIRED),
        Setting("top", "The number of configurations of each run.", whole(1), default=3),
        Setting(
            "repeats",
            "The number of evaluations of each configuration, each with a new seed.",
            whole(1),
            default=5,
        ),
        Setting("default", "Whether to evaluate the default too.", switch, default=False),
    ],
    folders="Folders of runs, or files written by tuneoff pack.",
    notes="Each run has a separate budget of top x repeats full evaluations for this. Repeating "
    "the command resumes an interrupted confirmation.",
    takes_config_dir=True,
)


def main(arguments: Sequence[str]) -> int:
    """Confirm the runs and print the results; return the exit status."""
    return COMMAND.answer(arguments, _confirm)


def _confirm(given: Given) -> int:
    use_config_dirs(given.config_dirs)
    for run in load(given.folders):
        with Heartbeat(f"confirming {run.optimizer} on {run.objective}, seed {run.seed}"):
            again = confirm(run, given["out"], given["top"], given["repeats"], given["default"])
        for line in lines(run, again):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
