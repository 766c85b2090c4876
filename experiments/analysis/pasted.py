"""What `tuneoff best` prints: configurations as data, as command lines, or as shell variables."""

import json
import re
import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.fronts import front, points
from experiments.analysis.statistics.gain import Estimate, Recommendation, recommendation
from objectives.trial import Config

Found = dict[str, Any]

_NO_DEFAULT = "the log states no default to compare with"
_TOO_FEW = "too few evaluations for an interval; tuneoff confirm default=true makes them"
_NOT_EVALUATED = (
    "the default was not evaluated; start=default evaluates it first, and tuneoff confirm "
    "default=true with the best"
)


def recommended(run: Run, again: Run | None) -> Found:
    """Return the recommended configuration, the default and the gain as plain values.

    Args:
        run: a run with one goal.
        again: its confirmation, or None.
    """
    found = recommendation(run, again)
    if found is None:
        return {}
    return {
        "recommended": {**_estimate(found.best), **put_to_use(run, found.best.config)},
        "default": _default(run, found),
        **_gain(run, found),
    }


def beside_front(run: Run) -> Found:
    """Return the default of a run with several goals, and how the front compares with it."""
    config = run.header.default
    if config is None:
        return {"verdict": _NO_DEFAULT}
    place = run.default()
    if place is None:
        return {"default": {"config": config, **put_to_use(run, config)}, "verdict": _NOT_EVALUATED}
    measured = {name: float(column[place]) for name, column in run.metrics.items()}
    goals, members = points(run), front(run)
    better = [one for one in members if _dominates(goals[one], goals[place])]
    verdict = (
        f"{len(better)} of {len(members)} configurations of the front are better than the default: "
        "as good in every goal, and better in one"
        if better
        else "no configuration found is better than the default in one goal and as good in the rest"
    )
    known = {"metrics": {name: x for name, x in measured.items() if x == x}, "config": config}
    return {"default": {**known, **put_to_use(run, config)}, "verdict": verdict}


def _dominates(one: Floats, other: Floats) -> bool:
    return bool((one <= other).all() and (one < other).any())


def put_to_use(run: Run, config: Config) -> Found:
    """Return the command line of a configuration and its settings; nothing if none is known."""
    deployment = run.header.deployment
    if deployment is None:
        return {}
    command = shlex.join(deployment.command(config))
    found: Found = {"command": command, "settings": deployment.settings(config)}
    environment = {"environment": deployment.environment} if deployment.environment else {}
    return {**found, **environment}


def confirmations(runs: Sequence[Run]) -> dict[str, Run]:
    """Return the confirmations among runs by the identity of the run that they confirm."""
    found = {}
    for run in runs:
        confirms = run.header.optimizer.get("confirms")
        if isinstance(confirms, str) and len(run.ids):
            found[confirms] = run
    return found


def text(found: Sequence[Found], format: str) -> str:
    """Return the result in one of the formats yaml, json, flags and env."""
    if format == "json":
        return json.dumps(found, indent=2)
    if format == "yaml":
        plain = json.loads(json.dumps(found))  # no object twice, hence no anchors in the text
        shown: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)
        return shown.rstrip()
    return "\n\n".join("\n".join(_pasted(one, format)) for one in found)


def _pasted(one: Found, format: str) -> list[str]:
    """Return the lines of one run: comments, and what can be pasted."""
    members = one.get("front")
    if format == "env" or not members:
        said = [_on_one_line(line) for line in _comments(one, format)]
        return [*said, *_lines(one.get("recommended"), format)]
    lines = [_on_one_line(f"# {_about(one)}: a front of {len(members)}"), f"# {one['verdict']}"]
    for member in members:
        shown = ", ".join(f"{name} {x:.6g}" for name, x in member["metrics"].items())
        lines += [_on_one_line(f"# trial {member['trial']}: {shown}"), *_lines(member, format)]
    return lines


def _on_one_line(comment: str) -> str:
    """Return a comment that stays one whatever names a log of other people holds."""
    return " ".join(comment.split())


def _estimate(estimate: Estimate) -> Found:
    return {
        "value": estimate.value,
        "evidence": estimate.evidence,
        "evaluations": estimate.evaluations,
        "config": estimate.config,
    }


def _default(run: Run, found: Recommendation) -> Found | None:
    default = run.header.default
    if default is None:
        return None
    unknown = {"value": None, "config": default}
    known = unknown if found.default is None else _estimate(found.default)
    return {**known, **put_to_use(run, default)}


def _gain(run: Run, found: Recommendation) -> Found:
    gain = found.gain
    if run.header.default is None:
        return {"verdict": _NO_DEFAULT}
    if gain is None:
        return {"verdict": _NOT_EVALUATED if found.default is None else _TOO_FEW}
    interval = {"mean": gain.mean, "interval_95": [gain.low, gain.high], "evidence": gain.evidence}
    return {"gain": interval, "verdict": gain.verdict}


def _comments(one: Found, format: str) -> list[str]:
    """Return the description of a configuration, as shell comments."""
    about, best = f"# {_about(one)}", one.get("recommended")
    if best is None:
        several = one.get("front")
        return [f"{about}: {'several goals; choose one by limits=' if several else 'no success'}"]
    lines = [about, f"# value {best['value']!r}: {best['evidence']}"]
    if "gain" in one:
        gain = one["gain"]
        low, high = gain["interval_95"]
        lines.append(
            f"# gain over the default {gain['mean']:.6g} [{low:.6g}, {high:.6g}]: "
            f"{gain['evidence']}"
        )
    lines.append(f"# {one['verdict']}")
    if format == "flags" and "command" not in best:
        lines.append(
            f"# no command line is known for {one['objective']}, which is a function or has an "
            "older log; its parameters follow under their own names"
        )
    return lines


def _about(one: Found) -> str:
    return f"{one['optimizer']} on {one['objective']}, seed {one['seed']}"


def _lines(best: Found | None, format: str) -> list[str]:
    """Return the lines that use a configuration; nothing without one."""
    if best is None:
        return []
    environment = {str(key): str(value) for key, value in best.get("environment", {}).items()}
    if format == "env":
        return [
            f"{key}={shlex.quote(value)}"
            for key, value in {**environment, **_variables(best["config"])}.items()
        ]
    before = "".join(f"{key}={shlex.quote(value)} " for key, value in environment.items())
    if "command" in best:
        return [before + best["command"]]
    return [shlex.join(f"--{name}={_plain(value)}" for name, value in best["config"].items())]


def _variables(config: Config) -> dict[str, str]:
    """Return the parameters as variables of a shell, in capitals."""
    return {re.sub(r"\W", "_", name).upper(): _plain(value) for name, value in config.items()}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
