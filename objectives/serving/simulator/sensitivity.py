"""Measure how the simulator's assumptions change the ranking of configurations.

Usage: `python -m objectives.serving.simulator.sensitivity [configurations=300] [table=FILE]`.

Random configurations are drawn until the requested number serves the load. They are evaluated under
the assumptions of `deployment.py`, and again with one assumption changed. Three numbers are printed
for each change: Spearman's rho of the values of the configurations that serve the load under both,
the number of the best tenth that remains in the best tenth, and the number of configurations that
fail now but served the load before. There is no noise. The settings are those of
`conf/objective/serving_sim.yaml`.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.stats import spearmanr

from objectives.serving.simulator.deployment import Deployment, Overheads
from objectives.serving.simulator.serving_sim import ServingSim
from objectives.serving.simulator.words import TABLE, Program, Word, write_table
from objectives.trial import Config, Trial

CONF = Path(__file__).parents[3] / "conf" / "objective"
HEADER = ("changed", "served_by_both", "spearman", "best_tenth_kept", "fail_now")
Change = Callable[[Deployment], Deployment]


def _overheads(change: Callable[[Overheads], Overheads]) -> Change:
    return lambda d: replace(d, overheads=change(d.overheads))


CHANGES: dict[str, Change] = {
    "3.5 GB of other memory, not 0.5": _overheads(lambda o: replace(o, other_bytes=3.5e9)),
    "ranks never wait at an all-reduce": _overheads(lambda o: replace(o, skew=0.0)),
    "no gap between pieces of a graph": _overheads(lambda o: replace(o, gap=0.0)),
    "a slow host (2.4)": lambda d: replace(d, host_slowdown=2.4),
    "the host takes no time in a step": _overheads(
        lambda o: replace(o, host_fixed=0.0, host_each=0.0)
    ),
    "an A100 of 40 GB": lambda d: replace(
        d, system=replace(d.system, memory=40 * 2**30, bandwidth=1.555e12)
    ),
}


class Varied(ServingSim):
    """The objective with one assumption changed."""

    def change(self, change: Change) -> None:
        """Change the deployment and simulate the reference again."""
        self._deployment = change(self._deployment)
        self._reference = None


def settings() -> dict[str, Any]:
    """Return the settings of the YAML file, without noise."""
    found: dict[str, Any] = yaml.safe_load((CONF / "serving_sim.yaml").read_text())
    slo = yaml.safe_load((CONF / "slo" / "mlperf_8b_interactive.yaml").read_text())
    longest = str(found["max_model_len"])
    rules = [text.replace("${..max_model_len}", longest) for text in found["constraints"]]
    plain = {key: value for key, value in found.items() if key not in ("defaults", "_target_")}
    return {**plain, **slo, "constraints": rules, "noise": 0.0, "run_noise": 0.0}


def values(objective: ServingSim, configs: Sequence[Config]) -> list[float]:
    """Return the value of each configuration; NaN if it fails."""
    evaluations = [objective.evaluate(Trial(i, config)) for i, config in enumerate(configs)]
    return [float("nan") if one.error else float(one.value or 0.0) for one in evaluations]


def drawn(objective: ServingSim, n: int) -> tuple[list[Config], list[float]]:
    """Draw configurations until n of them serve the load; return these n and their values."""
    objective.space.seed(0)
    configs: list[Config] = []
    found: list[float] = []
    while len(configs) < n:
        candidates: list[Config] = [dict(one) for one in objective.space.sample_configuration(200)]
        plain = [{key: _plain(value) for key, value in one.items()} for one in candidates]
        for config, value in zip(plain, values(objective, plain), strict=True):
            if np.isfinite(value) and len(configs) < n:
                configs.append(config)
                found.append(value)
    return configs, found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def table(n: int) -> list[tuple[str, ...]]:
    """Return the lines of the table under `HEADER`."""
    configs, before = drawn(ServingSim(**settings()), n)
    base = np.array(before)
    lines: list[tuple[str, ...]] = []
    for name, change in CHANGES.items():
        varied = Varied(**settings())
        varied.change(change)
        now = np.array(values(varied, configs))
        both = np.isfinite(now)
        rho = float(spearmanr(base[both], now[both]).statistic)
        k = max(int(both.sum()) // 10, 1)
        best = [set(np.argsort(one[both], kind="stable")[:k]) for one in (base, now)]
        kept = len(best[0] & best[1]) / k
        lines.append((name, str(both.sum()), f"{rho:.3f}", f"{kept:.2f}", str((~both).sum())))
    return lines


PROGRAM = Program(
    "objectives.serving.simulator.sensitivity",
    "Change one assumption of the simulator at a time, and print how the ranking changes.",
    [("configurations=300", "the default")],
    words={
        "configurations": Word(
            "The number of random configurations that are ranked.",
            "300",
            "an integer of at least 10",
            lambda text: text.isdecimal() and int(text) >= 10,
        ),
        "table": TABLE,
    },
)


def main(arguments: Sequence[str]) -> int:
    """Print the table; return the exit status."""
    return PROGRAM.answer(arguments, _print)


def _print(_: Path, words: dict[str, str]) -> None:
    lines = table(int(words["configurations"]))
    for line in [HEADER, *lines]:
        print("  ".join(cell.ljust(34 if i == 0 else 16) for i, cell in enumerate(line)).rstrip())
    write_table(words["table"], [HEADER, *lines])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
