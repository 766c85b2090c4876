"""What a run shows while it goes on, and its summary at the end. Plain text, no colour."""

import shlex
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from experiments.running.certainty import certainty
from experiments.running.events import Ask, Ended, Evaluated
from experiments.running.headline import Headline, default_trial, headline
from experiments.running.history import History
from experiments.running.run_log import RunLog
from objectives.trial import Evaluation

LONG_WAIT_S = 60.0
"""In a pipe, a line says what goes on as often as this."""

_REDRAWN_S = 5.0  # the bar of a terminal, so that its clock goes on


class Heartbeat:
    """Does something again and again while its block waits; by default it says what goes on.

    with Heartbeat("starting the server"):
        wait()  # a line a minute: "still starting the server, after 1 min"
    """

    def __init__(
        self,
        what: str | Callable[[], object],
        every_s: float = LONG_WAIT_S,
        stream: TextIO | None = None,
    ) -> None:
        """Begin at once.

        Args:
            what: goes on; or what is called.
            every_s: seconds between two lines, or calls.
            stream: for the lines; standard error unless given.
        """
        self._what, self._every_s, self._stream = what, every_s, stream
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                if callable(self._what):
                    self._what()
                else:
                    waited = duration(time.monotonic() - self._began)
                    _say(f"still {self._what}, after {waited}", self._stream)
            except (OSError, ValueError):  # whoever read standard error has left
                return

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join(timeout=1.0)

    def __enter__(self) -> "Heartbeat":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _say(line: str, stream: TextIO | None) -> None:
    stream = stream or sys.stderr
    stream.write(f"{line}\n")
    stream.flush()


def duration(seconds: float) -> str:
    """Return a time in its natural unit."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class ProgressBar:
    """A line with evaluations done, time left, and the incumbent with its metrics.

    On a terminal it is a bar; in a pipe, a line a minute says how far the run is.
    """

    def __init__(self, history: History, budget: float, shown: bool | None) -> None:
        """Show the beginning.

        Args:
            history: what the log holds so far; it may be more than the budget.
            budget: of the run, in full evaluations.
            shown: None: a bar on a terminal, lines in a pipe; True: a bar; False: nothing.
        """
        with_bar = sys.stderr.isatty() if shown is None else shown
        self._budget = budget
        self._bar = _bar(history.done, max(budget, history.done)) if with_bar else None
        self._began = self._since = time.monotonic()
        self._note(history)
        self._heartbeat = None
        if with_bar:
            self._heartbeat = Heartbeat(self._redraw, _REDRAWN_S)
        elif shown is None:
            self._heartbeat = Heartbeat(lambda: _say(self.line(), None), LONG_WAIT_S)

    def __call__(self, log: RunLog) -> None:
        """Show one more evaluation."""
        self._since = time.monotonic()
        self._note(log.history)
        if self._bar is not None:
            self._bar.total = max(self._bar.total, log.history.done)
            self._bar.n = log.history.done
            self._redraw()

    def _note(self, history: History) -> None:
        """Keep what is said, as the history must not be read while it grows."""
        self._done, self._incumbent = history.done, incumbent_line(history)
        if self._bar is not None:
            self._bar.set_postfix_str(self._incumbent, refresh=False)

    def _redraw(self) -> None:
        if self._bar is not None:
            self._bar.refresh()

    def line(self) -> str:
        """Return how far the run is."""
        now = time.monotonic()
        return (
            f"{self._done:.4g} of {self._budget:.4g} evaluations done after "
            f"{duration(now - self._began)}, the next one has taken {duration(now - self._since)} "
            f"so far; {self._incumbent}"
        )

    def close(self) -> None:
        """Leave the last state standing."""
        if self._heartbeat is not None:
            self._heartbeat.close()
        if self._bar is not None:
            self._bar.close()


def _bar(done: float, total: float) -> Any:
    from tqdm import tqdm  # not where nothing is shown

    return tqdm(
        total=total,
        initial=done,
        file=sys.stderr,
        ascii=" #",
        dynamic_ncols=True,
        bar_format="{n:.4g}/{total:.4g} [{bar:12}] {elapsed} + {remaining} left{postfix}",
    )


def incumbent_line(history: History) -> str:
    """Return the incumbent's number and metrics in one line."""
    id = history.incumbent()
    failed = sum(evaluation.error is not None for evaluation in history.evaluations.values())
    failures = f", {failed} failed" if failed else ""
    if id is None or history.header is None:
        return f"no success yet{failures}"
    evaluation, about = history.evaluations[id], headline(history.header)
    best = f"best {_named(about, evaluation)} (trial {id}{failures})"
    others = _metrics(evaluation, about)
    return f"{best}: {others}" if others else best


def _named(about: Headline, evaluation: Evaluation) -> str:
    """Return the number that the run is about, with its name and unit."""
    number = about.of(evaluation)
    return f"{about.metric or 'value'} {_number(about, number)}"


def _number(about: Headline, number: float | None) -> str:
    if number is None:
        return "not measured"
    return f"{number:.6g} {about.unit}".rstrip()


def _metrics(evaluation: Evaluation, about: Headline) -> str:
    rest = {name: x for name, x in evaluation.metrics.items() if name != about.metric}
    return ", ".join(f"{name} {x:.4g}" for name, x in rest.items())


def summary(history: History, path: Path) -> str:
    """Return the lines that end a run: what it found, what that means, and what to do next."""
    assert history.header is not None
    header, id = history.header, history.incumbent()
    n_failed = sum(evaluation.error is not None for evaluation in history.evaluations.values())
    rows = []
    if header.notice:
        rows.append(("note", header.notice))
    if id is None:
        rows.append(("best", "no full evaluation succeeded"))
    else:
        rows += _result(history, id)
    for test in history.tests():
        if test.id == id and test.error is not None:
            rows.append(("test", f"failed: {test.error}"))
        elif test.id == id:
            metrics = ", ".join(f"{name} {x:.4g}" for name, x in test.metrics.items())
            rows.append(("test", f"{metrics} (never optimised)"))
    if history.drifts():
        rows.append(("drift", "a replay asked other trials than the log holds; see the log"))
    rows += [("time", _times(history)), ("log", str(path)), *_next(path.parent)]
    title = (
        f"{header.names['optimizer']} on {header.names['objective']}, seed {header.seed}: "
        f"{len(history.evaluations)} evaluations, {n_failed} failed, budget spent "
        f"{history.spent:.6g} of {history.budget:.6g}"
    )
    return "\n".join([title, *(f"  {name:<10} {text}".rstrip() for name, text in rows)])


def _result(history: History, id: int) -> list[tuple[str, str]]:
    """Return the incumbent, what it is held against, and its configuration in full precision."""
    assert history.header is not None
    about, evaluation = headline(history.header), history.evaluations[id]
    place = list(history.evaluations).index(id) + 1
    n = len(history.evaluations)
    rows = [("best", f"{_named(about, evaluation)}, {about.direction} (evaluation {place} of {n})")]
    others = _metrics(evaluation, about)
    if others:
        rows.append(("", others))
    rows += _held_against(history, id, about)
    config = ", ".join(f"{name}={value}" for name, value in history.trials[id].config.items())
    return [*rows, ("config", config)]


def _held_against(history: History, id: int, about: Headline) -> list[tuple[str, str]]:
    """Return the untrained, the default and the best possible number, where they are known."""
    best, rows = about.of(history.evaluations[id]), []
    if best is None:
        return []
    untrained = history.evaluations[id].metrics.get(f"untrained_{about.metric}")
    if untrained is not None:
        rows.append(("untrained", _compared(about, best, untrained)))
    default = default_trial(history)
    number = None if default is None else about.of(history.evaluations[default])
    if default == id:
        rows.append(("default", "nothing better than the default configuration was found"))
    elif default is not None and number is not None:
        rows.append(("default", _compared(about, best, number)))
        said = certainty(history, id, default)
        rows += [("certainty", said)] if said else []
    if about.optimum is not None:
        gap = abs(best - about.optimum)
        rows.append(("optimum", f"{_number(about, about.optimum)}: the best is {gap:.4g} away"))
    return rows


def _compared(about: Headline, best: float, other: float) -> str:
    """Return another number, and by how much the best is better than it."""
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
    """Return the commands that look closer at the run."""
    quoted = shlex.quote(str(folder))
    return [
        ("next", f"tuneoff best {quoted}"),
        ("", f"tuneoff report {quoted} out={shlex.quote(str(folder / 'report'))}"),
    ]
