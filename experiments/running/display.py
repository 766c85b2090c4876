"""What a run shows while it goes on, and its summary at the end. Plain text, no colour."""

import sys
from pathlib import Path
from typing import Any

from experiments.running.run_log import History, RunLog


class ProgressBar:
    """A line with evaluations done, time left, and the incumbent with its metrics.

    Shown on a terminal; in a pipe only where `shown` is True.
    """

    def __init__(self, history: History, budget: float, shown: bool | None) -> None:
        if shown is None:
            shown = sys.stderr.isatty()
        self._bar = _bar(history, budget) if shown else None
        self._show(history)

    def __call__(self, log: RunLog) -> None:
        if self._bar is not None:
            self._bar.n = log.history.done
            self._show(log.history)

    def _show(self, history: History) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(incumbent_line(history))

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar(history: History, budget: float) -> Any:
    from tqdm import tqdm  # not where nothing is shown

    return tqdm(
        total=budget,
        initial=history.done,
        file=sys.stderr,
        ascii=" #",
        dynamic_ncols=True,
        bar_format="{n:.4g}/{total:.4g} [{bar:12}] {elapsed} + {remaining} left{postfix}",
    )


def incumbent_line(history: History) -> str:
    """Return the incumbent's value and metrics in one line."""
    id = history.incumbent()
    failed = sum(evaluation.error is not None for evaluation in history.evaluations.values())
    failures = f", {failed} failed" if failed else ""
    if id is None:
        return f"no success yet{failures}"
    evaluation = history.evaluations[id]
    metrics = ", ".join(f"{name} {x:.4g}" for name, x in evaluation.metrics.items())
    value = f"best value {evaluation.value:.6g} (trial {id}{failures})"
    return f"{value}: {metrics}" if metrics else value


def summary(history: History, path: Path) -> str:
    """Return the lines that end a run: the incumbent, its test metrics, times, and the log."""
    assert history.header is not None
    header, id = history.header, history.incumbent()
    n_failed = sum(evaluation.error is not None for evaluation in history.evaluations.values())
    costs = sum(evaluation.cost for evaluation in history.evaluations.values())
    own = sum(
        event.get("ask_s", 0.0) + sum(event.get("tell_s", {}).values()) for event in history.events
    )
    lines = [
        f"{header.names['optimizer']} on {header.names['objective']}, seed {header.seed}: "
        f"{len(history.evaluations)} evaluations, {n_failed} failed, budget spent "
        f"{history.spent:.6g} of {history.budget:.6g}",
    ]
    if header.notice:
        lines.append(f"  note       {header.notice}")
    lines.append(f"  incumbent  {incumbent_line(history)}")
    if id is not None:
        config = ", ".join(
            f"{name}={_short(value)}" for name, value in history.trials[id].config.items()
        )
        lines.append(f"  config     {config}")
    for event in history.events:
        if event["event"] == "test" and event["id"] == id:
            metrics = ", ".join(f"{name} {x:.4g}" for name, x in event["metrics"].items())
            lines.append(f"  test       {metrics} (never optimised)")
        if event["event"] == "drift":
            lines.append("  drift      a replay asked other trials than the log holds; see the log")
    lines.append(f"  time       {costs:.3g} s evaluating, {own:.3g} s inside the optimizer")
    lines.append(f"  log        {path}")
    return "\n".join(lines)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
