"""The progress of a sweep: a bar on a terminal, and elsewhere one line a minute."""

import sys
import time
from collections.abc import Mapping

from experiments.running.display import bar
from experiments.running.plan import RunState
from experiments.sweeping.experiment import PlannedRun
from objectives.heartbeat import LONG_WAIT_S, Heartbeat, duration, say

_SHOWN = "{n:.0f}/{total:.0f} evaluations [{bar:12}] {elapsed} + {remaining} left"


class SweepProgress:
    """Shows how many evaluations of all runs are done."""

    def __init__(
        self, runs: Mapping[str, PlannedRun], states: Mapping[str, RunState], shown: bool | None
    ) -> None:
        """Show the initial state.

        Args:
            runs: the runs of the experiment, by identity.
            states: their states.
            shown: True shows a bar and False nothing; None shows a bar on a terminal and lines
                elsewhere.
        """
        terminal = sys.stderr is not None and sys.stderr.isatty()
        budgets = {identity: run.header.budget for identity, run in runs.items()}
        self._total = sum(budgets.values())
        self._done = sum(
            budgets[identity] if state.state == "done" else state.evaluations
            for identity, state in states.items()
        )
        self._n_runs = len(runs)
        self._ended = sum(state.state == "done" for state in states.values())
        self._began = time.monotonic()
        self._bar = self._heartbeat = None
        if shown or (shown is None and terminal):
            self._bar = bar(self._done, self._total, _SHOWN)
        elif shown is None:
            self._heartbeat = Heartbeat(lambda: say(self.line()), LONG_WAIT_S)

    def evaluated(self, n: int) -> None:
        """Count more evaluations."""
        self._done += n
        if self._bar is not None:
            self._bar.update(n)

    def ended(self) -> None:
        """Count a run that is done."""
        self._ended += 1

    def line(self) -> str:
        """Return one line on the progress of the sweep."""
        return (
            f"{self._ended} of {self._n_runs} runs and {self._done:.0f} of {self._total:.0f} "
            f"evaluations done after {duration(time.monotonic() - self._began)}"
        )

    def close(self) -> None:
        """Stop the updates; the last state stays visible."""
        if self._heartbeat is not None:
            self._heartbeat.close()
        if self._bar is not None:
            self._bar.close()
