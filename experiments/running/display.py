"""The output of a run in progress, and its summary at the end, as plain text without colour."""

import shlex
import sys
import time
from pathlib import Path
from typing import Any

from experiments.running.certainty import certainty, certainty_of_training
from experiments.running.events import Ask, Ended, Evaluated
from experiments.running.fronts import front_line, front_rows, limits_line, nothing
from experiments.running.headline import Headline, default_trial, headline, untrained_name
from experiments.running.history import History
from experiments.running.run_log import RunLog
from objectives.heartbeat import LONG_WAIT_S, Heartbeat, duration, say
from objectives.trial import Evaluation

_REDRAWN_S = 5.0  # a terminal's bar is redrawn this often, so that its clock keeps moving
_SHOWN = "{n:.4g}/{total:.4g} [{bar:12}] {elapsed} + {remaining} left{postfix}"


class ProgressBar:
    """Shows the evaluations done, the time left, and the incumbent with its metrics.

    On a terminal it is a bar; elsewhere, it prints one progress line a minute.
    """

    def __init__(self, history: History, budget: float, shown: bool | None) -> None:
        """Show the initial state.

        Args:
            history: the run's log so far; it may hold more evaluations than the budget.
            budget: the run's budget, in full evaluations.
            shown: True shows a bar and False nothing; None shows a bar on a terminal and lines
                elsewhere.
        """
        with_bar = sys.stderr.isatty() if shown is None else shown
        self._budget = budget
        self._bar = bar(history.done, max(budget, history.done), _SHOWN) if with_bar else None
        self._began = self._since = time.monotonic()
        self._note(history)
        self._heartbeat = None
        if with_bar:
            self._heartbeat = Heartbeat(self._redraw, _REDRAWN_S)
        elif shown is None:
            self._heartbeat = Heartbeat(lambda: say(self.line()), LONG_WAIT_S)

    def __call__(self, log: RunLog) -> None:
        """Show one more evaluation."""
        self._since = time.monotonic()
        self._note(log.history)
        if self._bar is not None:
            self._bar.total = max(self._bar.total, log.history.done)
            self._bar.n = log.history.done
            self._redraw()

    def _note(self, history: History) -> None:
        """Copy what is shown, because another thread must not read the history while it grows."""
        self._done, self._incumbent = history.done, incumbent_line(history)
        if self._bar is not None:
            self._bar.set_postfix_str(self._incumbent, refresh=False)

    def _redraw(self) -> None:
        if self._bar is not None:
            self._bar.refresh()

    def line(self) -> str:
        """Return one line on the progress of the run."""
        now = time.monotonic()
        waits = "the next one has" if self._done < self._budget else "the test metrics have"
        return (
            f"{self._done:.4g} of {self._budget:.4g} evaluations done after "
            f"{duration(now - self._began)}; {waits} taken {duration(now - self._since)} "
            f"so far; {self._incumbent}"
        )

    def close(self) -> None:
        """Stop the updates; the last state stays visible."""
        if self._heartbeat is not None:
            self._heartbeat.close()
        if self._bar is not None:
            self._bar.close()


def bar(done: float, total: float, shown: str) -> Any:
    """Return a progress bar on standard error; `shown` is its format, as tqdm defines it."""
    from tqdm import tqdm  # imported only if a bar is shown

    return tqdm(
        total=total,
        initial=done,
        file=sys.stderr,
        ascii=" #",
        dynamic_ncols=True,
        bar_format=shown,
    )


def incumbent_line(history: History) -> str:
    """Return the incumbent's value and metrics in one line."""
    id = history.incumbent()
    failed = sum(evaluation.error is not None for evaluation in history.evaluations.values())
    failures = f", {failed} failed" if failed else ""
    if id is None or history.header is None:
        return f"no success yet{failures}"
    evaluation, about = history.evaluations[id], headline(history.header)
    if history.header.several:
        return f"{front_line(history)}{failures}"
    best = f"best {named(about, evaluation)} (trial {id}{failures})"
    others = _metrics(evaluation, about)
    return f"{best}: {others}" if others else best


def named(about: Headline, evaluation: Evaluation) -> str:
    """Return the headline metric of an evaluation, with its name and unit."""
    number = about.of(evaluation)
    return f"{about.metric or 'value'} {_number(about, number)}"


def _number(about: Headline, number: float | None) -> str:
    if number is None:
        return "not measured"
    return f"{number:.6g} {about.unit}".rstrip()


def _metrics(evaluation: Evaluation, about: Headline) -> str:
    shown = (about.metric, untrained_name(about.metric))
    rest = {name: x for name, x in evaluation.metrics.items() if name not in shown}
    return ", ".join(f"{name} {x:.4g}" for name, x in rest.items())


def summary(history: History, path: Path) -> str:
    """Return the summary of a run: its result, what the result means, and the next commands."""
    assert history.header is not None
    header = history.header
    n_failed = sum(evaluation.error is not None for evaluation in history.evaluations.values())
    rows = result_rows(history)
    rows += [("time", _times(history)), ("log", str(path)), *_next(path.parent)]
    title = (
        f"{header.names['optimizer']} on {header.names['objective']}, seed {header.seed}: "
        f"{len(history.evaluations)} evaluations, {n_failed} failed, budget spent "
        f"{history.spent:.6g} of {history.budget:.6g}"
    )
    return "\n".join([title, *(f"  {name:<10} {text}".rstrip() for name, text in rows)])


def result_rows(history: History) -> list[tuple[str, str]]:
    """Return the lines of a summary on the result of a run, each with its name."""
    assert history.header is not None
    header, id = history.header, history.incumbent()
    rows = []
    if header.notice:
        rows.append(("note", header.notice))
    if header.limits:
        rows.append(("limits", limits_line(header.limits)))
    if id is None:
        rows.append(("best", nothing(history)))
    elif header.several:
        rows += front_rows(history)
    else:
        rows += _result(history, id)
    for test in history.tests():
        if test.id == id and test.error is not None:
            rows.append(("test", f"failed: {test.error}"))
        elif test.id == id:
            metrics = ", ".join(f"{name} {x:.4g}" for name, x in test.metrics.items())
            rows.append(("test", f"{metrics} (never optimised)"))
    if history.drifts():
        rows.append(
            ("drift", "on resuming, the optimizer asked for other trials than the log holds")
        )
    if history.stopped is not None:
        rows.append(("stopped", f"{history.stopped}; a larger limit, or stop=none, continues"))
    return rows


def _result(history: History, id: int) -> list[tuple[str, str]]:
    """Return the incumbent, its comparison values, and its configuration in full precision."""
    assert history.header is not None
    about, evaluation = headline(history.header), history.evaluations[id]
    place = list(history.evaluations).index(id) + 1
    n = len(history.evaluations)
    rows = [("best", f"{named(about, evaluation)}, {about.direction} (evaluation {place} of {n})")]
    others = _metrics(evaluation, about)
    if others:
        rows.append(("", others))
    rows += _held_against(history, id, about)
    config = ", ".join(f"{name}={value}" for name, value in history.trials[id].config.items())
    return [*rows, ("config", config)]


def _held_against(history: History, id: int, about: Headline) -> list[tuple[str, str]]:
    """Return the untrained, default and optimal values, if they are known."""
    best, rows = about.of(history.evaluations[id]), []
    if best is None:
        return []
    untrained = history.evaluations[id].metrics.get(untrained_name(about.metric))
    if untrained is not None:
        rows.append(("untrained", _compared(about, best, untrained)))
        said = certainty_of_training(history, id)
        rows += [("certainty", said)] if said else []
    default = default_trial(history)
    number = None if default is None else about.of(history.evaluations[default])
    if default == id:
        rows.append(("default", "no configuration better than the default was found"))
    elif default is not None and number is not None:
        rows.append(("default", _compared(about, best, number)))
        said = certainty(history, id, default)
        rows += [("certainty", said)] if said else []
    if about.optimum is not None:
        gap = abs(best - about.optimum)
        rows.append(("optimum", f"{_number(about, about.optimum)}: the best is {gap:.4g} away"))
    return rows


def _compared(about: Headline, best: float, other: float) -> str:
    """Return a comparison value, and by how much the incumbent is better than it."""
    gain = other - best if about.minimise else best - other
    word = "better" if gain >= 0 else "worse"
    share = f" ({abs(gain / other):.2%})" if other else ""
    return f"{_number(about, other)}: the best is {word} by {_number(about, abs(gain))}{share}"


def _times(history: History) -> str:
    costs = sum(evaluation.cost for evaluation in history.evaluations.values())
    own = sum(
        (event.ask_s if isinstance(event, Ask) else 0.0) + sum(event.tell_s.values())
        for event in history.events
        if isinstance(event, Ask | Ended)
    )
    shown = f"{duration(costs)} evaluating, {duration(own)} inside the optimizer"
    ends = [
        event.simulated_s
        for event in history.events
        if isinstance(event, Evaluated) and event.simulated_s is not None
    ]
    about = history.header
    if not ends or about is None:
        return shown
    workers = "one worker" if about.workers == 1 else f"{about.workers} workers"
    return f"{shown}; {duration(ends[-1])} simulated with {workers}"


def _next(folder: Path) -> list[tuple[str, str]]:
    """Return the commands that show more about the run."""
    quoted = shlex.quote(str(folder))
    return [
        ("next", f"tuneoff best {quoted}"),
        ("", f"tuneoff report {quoted} out={shlex.quote(str(folder / 'report'))}"),
    ]
