"""One look at each of several runs: its progress and its incumbents, without its other contents."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.running.display import named
from experiments.running.fronts import nothing
from experiments.running.header import Header
from experiments.running.headline import headline
from experiments.running.history import History
from experiments.running.incumbent import Incumbent
from experiments.running.progress import Progress, progress
from experiments.running.run_log import read
from objectives.heartbeat import duration
from objectives.trial import Evaluation

_NONE = "no success yet"

Incumbents = list[tuple[int, float, Evaluation]]
"""The id, the fidelity and the evaluation of each incumbent."""


@dataclass(frozen=True)
class Glance:
    """One look at a run.

    Attributes:
        path: its log.
        header: the header of the log.
        progress: how far the run is.
        budget: the latest budget.
        n_evaluations: the number of evaluations.
        incumbents: the incumbents; one at most if there is one goal.
        nothing: why there is no incumbent; None if there is one.
    """

    path: Path
    header: Header
    progress: Progress
    budget: float
    n_evaluations: int
    incumbents: Incumbents
    nothing: str | None

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.header.seed


def glance(path: Path, live: bool) -> Glance | None:
    """Look at a run; return None if its log is still empty.

    Args:
        path: the log.
        live: whether a process is executing the run.

    Raises:
        ValueError: the log is damaged.
        OSError: it cannot be read.
    """
    history = read(path)
    if history.header is None:
        return None
    return Glance(
        path,
        history.header,
        progress(history, live),
        history.budget,
        len(history.evaluations),
        [_incumbent(history, id) for id in history.incumbents()],
        None if history.incumbents() else nothing(history),
    )


def _incumbent(history: History, id: int) -> tuple[int, float, Evaluation]:
    return id, history.trials[id].fidelity, history.evaluations[id]


def running_line(run: Glance, label: str) -> str:
    """Return one line on a run that is being executed."""
    now = run.progress
    words = [f"{now.done:.4g} of {run.budget:.4g} evaluations"]
    if run.header.workers > 1 or now.busy:
        words.append(f"{len(now.busy)} of {run.header.workers} workers busy")
    if now.n_failed:
        words.append(f"{now.n_failed} failed")
    if now.retried:
        words.append(f"{len(now.retried)} retried")
    words.append(_best_of([(run, one) for one in run.incumbents]))
    words.append(f"{left(now.left_s)} left")
    return f"running: {label}: {', '.join(words)}"


def left(seconds: float | None) -> str:
    """Return the time left as text."""
    return "unknown time" if seconds is None else "no time" if seconds == 0 else duration(seconds)


@dataclass
class _Group:
    """The runs of one objective."""

    incumbent: Incumbent
    found: list[tuple[Glance, str, tuple[int, float, Evaluation]]] = field(default_factory=list)


def best_lines(
    runs: Sequence[Glance],
    objective_of: Callable[[Glance], str],
    label_of: Callable[[Glance], str],
) -> list[str]:
    """Return a line for each objective on the incumbents among all its runs."""
    groups: dict[str, _Group] = {}
    for run in runs:
        new = _Group(Incumbent(run.header.goals, run.header.limits))
        group = groups.setdefault(objective_of(run), new)
        for one in run.incumbents:
            _, fidelity, evaluation = one
            group.found.append((run, label_of(run), one))
            group.incumbent.told(len(group.found) - 1, evaluation, fidelity)
    return [f"best on {name}: {_of_group(group)}" for name, group in groups.items()]


def _of_group(group: _Group) -> str:
    best = [group.found[place] for place in group.incumbent.ids]
    if not best:
        return _NONE
    labels = list(dict.fromkeys(label for _, label, _ in best))
    by = labels[0] if len(labels) == 1 else f"{len(labels)} runs"
    shown = _best_of([(run, one) for run, _, one in best])
    fidelity = best[0][2][1]
    at = "" if fidelity == 1 else f", at fidelity {fidelity:g}"
    trial = f", trial {best[0][2][0]}" if len(best) == 1 else ""
    return f"{shown}{at} ({by}{trial})"


def _best_of(best: Sequence[tuple[Glance, tuple[int, float, Evaluation]]]) -> str:
    """Return the numbers of incumbents of runs on one objective."""
    if not best:
        return _NONE
    header = best[0][0].header
    if not header.several:
        return named(headline(header), best[0][1][2])
    spans = []
    for name, goal in header.goals.items():
        numbers = [evaluation.metrics[name] for _, (_, _, evaluation) in best]
        spans.append(f"{name} {min(numbers):.4g} to {max(numbers):.4g} {goal.unit}".rstrip())
    counted = "1 incumbent" if len(best) == 1 else f"{len(best)} incumbents"
    return f"{counted}: {', '.join(spans)}"


def looked_at(paths: Iterable[Path], running: set[int]) -> tuple[list[Glance], list[str]]:
    """Look at several logs; return what was seen, and a line for each log that cannot be read."""
    seen: list[Glance] = []
    broken: list[str] = []
    for path in paths:
        try:
            one = glance(path, path.stat().st_ino in running)
        except (ValueError, OSError) as error:
            broken.append(str(error))
            continue
        if one is not None:
            seen.append(one)
    return seen, broken
