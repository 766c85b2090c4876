"""Make a run from composed settings, once Hydra has read the arguments of `tuneoff run`."""

from pathlib import Path

from omegaconf import DictConfig

from experiments.running.display import ProgressBar, summary
from experiments.running.events import MOST_WORKERS
from experiments.running.executors.choice import check_timeout
from experiments.running.from_words import run_settings
from experiments.running.history import History
from experiments.running.quick_start import import_drawing
from experiments.running.readers import path as as_path
from experiments.running.run import Run
from experiments.running.run_log import RunLog
from experiments.running.terminal import PROGRESS_AUTO
from experiments.running.tracking import BACKENDS, Tracker, sink_of
from objectives import expected

_progress: dict[str, str] = {}  # read by `interrupted`; has the log's path once the log exists


def run_one(settings: DictConfig, names: dict[str, str]) -> list[str]:
    """Make the run that the composed settings describe, resuming it from its log if there is one.

    With `dry_run=true`, only say what the run would do.

    Args:
        settings: the composed settings of conf/config.yaml.
        names: the names of the two YAML files, by family.

    Returns:
        The faults that a dry run found, one line each.

    Raises:
        ValueError, OSError, HydraException: a mistake that the user can correct; see `mistakes`.
    """
    check_settings(settings)
    if settings.out is not None:
        as_path("out", settings.out)
    run = Run(run_settings(settings, names))
    folder = _folder(settings, run)
    if settings.dry_run:
        from experiments.running.dry_run import look_ahead  # only a dry run needs it

        text, faults = look_ahead(run, folder, settings.tracking)
        print(text)
        return faults
    path = folder / "log.jsonl"
    earlier = run.history(folder)
    if run.is_finished(earlier):
        print(f"already finished: {len(earlier.evaluations)} evaluations, nothing to do")
        print(summary(earlier, path))
        return []
    sink = sink_of(settings.tracking)
    with run.open(folder) as log:
        _say(log, earlier, quick=run.objective.cheap)
        shown = None if settings.progress == PROGRESS_AUTO else settings.progress
        bar = ProgressBar(log.history, run.header.budget, shown)
        tracker = None if sink is None else Tracker(sink, log)

        def watch(log: RunLog) -> None:
            bar(log)
            if tracker is not None:
                tracker(log)

        try:
            run.execute(log, watch)
        finally:
            bar.close()
            if tracker is not None:
                tracker.end(log)
        print(summary(log.history, path))
        if settings.plot:
            convergence = import_drawing("experiments.running.convergence")
            convergence.draw(log.history, folder / "convergence.png")
            print(f"  picture    {folder / 'convergence.png'}")
    return []


def _say(log: RunLog, earlier: History, quick: bool) -> None:
    """Print the notice about the data, and how many evaluations the log already holds.

    The summary at the end repeats the notice, so that a quick run needs none at its beginning.
    """
    _progress["path"] = str(log.path)
    header = log.history.header
    if header is not None and header.notice and not quick:
        print(f"note: {header.notice}", flush=True)
    if earlier.header is not None:
        print(f"resuming after {len(earlier.evaluations)} evaluations: {log.path}", flush=True)


LARGEST_BUDGET = 1e9  # a design for the whole budget is held in memory
LARGEST_SEED = 2**32 - 1  # the largest that every library accepts


def check_settings(settings: DictConfig) -> None:
    """Raise `ValueError` if a setting is invalid for every run."""
    expected.number("budget", settings.budget, above=0, most=LARGEST_BUDGET)
    expected.whole("seed", settings.seed, 0, LARGEST_SEED)
    expected.whole("workers", settings.workers, 1, MOST_WORKERS)
    check_timeout(settings.get("evaluation_timeout_s"))
    if settings.progress != PROGRESS_AUTO and not isinstance(settings.progress, bool):
        raise ValueError(f"progress: expected auto, true or false, got {settings.progress!r}")
    expected.one_of("tracking", settings.tracking, BACKENDS)
    expected.switch("plot", settings.plot)
    expected.switch("dry_run", settings.dry_run)


def _folder(settings: DictConfig, run: Run) -> Path:
    if settings.out is not None:
        return as_path("out", settings.out)
    return Path("results") / run.folder_name


def interrupted(command: str) -> str:
    """Return a line that says what is saved and how to resume.

    Args:
        command: the command line as typed.
    """
    if "path" not in _progress:
        return "interrupted before the first evaluation; nothing was lost"
    return f"interrupted: all evaluations are in {_progress['path']}; resume with: {command}"
