"""`tuneoff sweep`: execute all runs of an experiment, several at once. It can be resumed.

Every run is executed in a long-lived worker process, or on a Ray cluster with `executor=ray`
(`execution.py`).
"""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.running import interrupts
from experiments.running.composing import use_config_dirs
from experiments.running.mistakes import complain
from experiments.running.plan import summary
from experiments.running.readers import number, one_of, path, switch, whole
from experiments.running.settings import REQUIRED, Command, Given, Setting
from experiments.running.terminal import PROGRESS_AUTO, typed
from experiments.running.tracking import BACKENDS
from experiments.sweeping import experiment as experiments
from experiments.sweeping.execution import Sweep
from experiments.sweeping.experiment import PlannedRun
from experiments.sweeping.tracked import Tracking, check_installed
from objectives.plain_yaml import parsed

_OWN = "as in the experiment"
_LIMITS = ("hours", "cost", "patience", "regret")


def _changed(key: str, text: str) -> Any:
    """Return a value from the command line that replaces one in the experiment's YAML file."""
    if key == "seeds" and not text.startswith("["):
        return text if re.search(r"[,(]", text) else whole(0)(key, text)
    try:
        value = parsed(text)
    except ValueError:
        raise ValueError(f"{key}: expected a list such as [a, b], got {text}") from None
    return value


COMMAND = Command(
    "sweep",
    "Execute all runs of an experiment. Repeating the command resumes an interrupted sweep.",
    [
        ("tuneoff sweep experiment=smoke runs=2", "two runs at once, a few seconds"),
        ("tuneoff sweep experiment=smoke optimizers='[random,soo]' seeds=0,1", "a part of it"),
        ("tuneoff sweep experiment=mine.yaml out=~/results/mine", "an experiment of your own"),
        ("tuneoff sweep experiment=smoke dry_run=true", "says what it would run, and checks it"),
        ("tuneoff sweep experiment=smoke retry=true", "two more attempts for failed runs"),
        (
            "tuneoff sweep experiment=smoke executor='simulated executor.jitter=0.5' workers=16",
            "with simulated time",
        ),
    ],
    [
        Setting("experiment", "A name in conf/experiment/, or a YAML file.", default=REQUIRED),
        Setting("runs", "The number of runs at once.", whole(1, 1024), default=1),
        Setting("out", "The output folder.", path, shown="results/ and the experiment's name"),
        Setting(
            "progress",
            "Whether to show a progress bar: auto (only on a terminal), true or false.",
            one_of("auto", "true", "false"),
            default="auto",
        ),
        Setting(
            "dry_run",
            "Whether to say what would be run, and check it, without running it.",
            switch,
            default=False,
        ),
        Setting("retry", "Whether to give failed runs two more attempts.", switch, default=False),
        Setting(
            "tracking",
            "none, mlflow (at MLFLOW_TRACKING_URI) or wandb (offline unless WANDB_MODE is set).",
            one_of(*BACKENDS),
            default=BACKENDS[0],
        ),
        Setting("optimizers", "A list that replaces the experiment's.", _changed, shown=_OWN),
        Setting("objectives", "A list that replaces the experiment's.", _changed, shown=_OWN),
        Setting("seeds", "Such as 3, 0,1,2, [0,1] or 'range(0,30)'.", _changed, shown=_OWN),
        Setting("budget", "Full evaluations for each run.", number(0, above=True), shown=_OWN),
        Setting("workers", "Trials of one run that are evaluated at once.", whole(1), shown=_OWN),
        Setting(
            "executor",
            "Where trials are evaluated: a name with its settings. ray spreads whole runs.",
            shown=_OWN,
        ),
        Setting(
            "start", "Configurations to evaluate first: default, or a list.", _changed, shown=_OWN
        ),
        Setting(
            "transfer", "Earlier runs to learn from: a folder, or a list.", _changed, shown=_OWN
        ),
        Setting("stop", "A rule that ends runs early, with its settings.", shown=_OWN),
        *(Setting(f"stop.{limit}", "A limit of that rule.", shown=_OWN) for limit in _LIMITS),
    ],
    takes_config_dir=True,
)


def default_folder(experiment: str) -> Path:
    """Return the default folder of an experiment, which is used if `out` is not given."""
    return Path("results") / Path(experiment).stem


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    return COMMAND.answer(arguments, lambda given: _sweep(given, arguments))


def _look_ahead(
    experiment: experiments.Experiment, planned: list[PlannedRun], folder: Path, runs: int
) -> int:
    """Print what the sweep would do, and the faults that were found; return the exit status."""
    from experiments.sweeping.dry_run import look_ahead  # only a dry run needs it

    text, faults = look_ahead(experiment, planned, folder, runs)
    print(text)
    for line in faults:
        complain(line)
    return 2 if faults else 0


def _sweep(given: Given, arguments: Sequence[str]) -> int:
    sweep: Sweep | None = None
    try:
        check_installed(given["tracking"])
        use_config_dirs(given.config_dirs)
        changes = {key: given[key] for key in experiments.CHANGES if given[key] is not None}
        limits = [f"stop.{key}={given[f'stop.{key}']}" for key in _LIMITS if given[f"stop.{key}"]]
        if limits:
            changes["stop"] = shlex.join([changes.get("stop", "none"), *limits])
        experiment = experiments.load(given["experiment"], changes)
        folder = given["out"] or default_folder(given["experiment"])
        planned = experiment.plan()
        if given["dry_run"]:
            return _look_ahead(experiment, planned, folder, given["runs"])
        sweep = Sweep(experiment, planned, folder)
        shown = None if given["progress"] == PROGRESS_AUTO else given["progress"] == "true"
        tracking = Tracking(given["tracking"], folder, experiment.name)
        try:
            sweep.make(given["runs"], given["retry"], shown)
        finally:
            tracking.close()
        return 0 if sweep.report() else 2
    except KeyboardInterrupt as interrupt:
        interrupts.taken()
        done = f"{summary(sweep.states().values())}; " if sweep else ""
        print(f"interrupted: {done}continue with: {typed('sweep', arguments)}", file=sys.stderr)
        return 143 if interrupt.args else 130
    finally:
        if sweep is not None:
            sweep.close()


if __name__ == "__main__":
    interrupts.install(interrupts.ENDING, once=True)
    sys.exit(main(sys.argv[1:]))
