"""What `tuneoff best` prints: configurations as data, as command lines, or as shell variables."""

import json
import math
import re
import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from experiments.analysis.results import Floats, Run
from experiments.analysis.statistics.fronts import front, points
from experiments.analysis.statistics.gain import Estimate, Recommendation, recommendation
from objectives.trial import Config, Value

Found = dict[str, Any]

_NO_DEFAULT = "the log states no default to compare with"
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


def seen(run: Run) -> Found:
    """Return the best evaluation of the goal that limits on the other goals leave, without a claim.

    The noise that an objective of several goals declares is not that of this goal.
    """
    place = run.incumbent()
    if place is None:
        return {}
    (metric,) = run.header.goals
    best = {
        "value": float(run.values[place]),
        "evidence": f"a single evaluation, {metric} {float(run.metrics[metric][place])!r}",
        "evaluations": 1,
        "config": run.configs[place],
        **put_to_use(run, run.configs[place]),
    }
    verdict = f"no test against the default, as the noise of {metric} is not declared"
    return {"recommended": best, "verdict": verdict}


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
        return json.dumps(_as_json(found), indent=2, allow_nan=False)
    if format == "yaml":
        plain = json.loads(json.dumps(found))  # no object twice, hence no anchors in the text
        shown: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)
        return shown.rstrip()
    return "\n\n".join(block for one in found for block in _blocks(one, format))


def _as_json(value: Any) -> Any:
    """Return a value with null in place of numbers that overflowed, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _as_json(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
    if found.default is None:
        return {"verdict": _NOT_EVALUATED}
    if gain is None:
        return {
            "verdict": "unknown: the default was evaluated once, and its noise is not known; "
            "tuneoff confirm evaluates it again with default=true"
        }
    interval = {"mean": gain.mean, "interval_95": [gain.low, gain.high], "evidence": gain.evidence}
    return {"gain": interval, "verdict": gain.verdict}


def _blocks(one: Found, format: str) -> list[str]:
    """Return a run's recommendation, or each configuration of its front, with comments."""
    about = _on_one_line(f"# {one['optimizer']} on {one['objective']}, seed {one['seed']}")
    if one.get("front"):
        return [
            "\n".join([_on_one_line(f"{about}, {_reached(one, each)}"), *_lines(each, format)])
            for each in one["front"]
        ]
    best = one.get("recommended")
    if best is None:
        kept = f" keeps the limits {one['limits']}" if "limits" in one else ""
        return [f"{about}: no success{kept}"]
    return ["\n".join([about, *_comments(one, best, format), *_lines(best, format)])]


def _on_one_line(comment: str) -> str:
    """Return a comment that stays one, whatever names a log of other people holds."""
    return " ".join(comment.split())


def _reached(one: Found, each: Found) -> str:
    """Return the trial and the goals of a configuration of a front, in words."""
    goals = ", ".join(f"{name} {each['metrics'][name]!r}" for name in one["goals"])
    return f"trial {each['trial']}: {goals}"


def _comments(one: Found, best: Found, format: str) -> list[str]:
    """Return the description of a recommended configuration, as shell comments."""
    lines = [f"# value {best['value']!r}: {best['evidence']}"]
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
    return [_on_one_line(line) for line in lines]


def _lines(best: Found, format: str) -> list[str]:
    """Return a configuration as a command line or as variables of a shell."""
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
    """Return the parameters as variables of a shell, in capitals.

    Raises:
        ValueError: two parameters would have the same name.
    """
    found: dict[str, tuple[str, Value]] = {}
    for name, value in config.items():
        variable = re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII).upper()
        first, _ = found.setdefault(variable, (name, value))
        if first != name:
            raise ValueError(
                f"format: expected yaml or json, as {first} and {name} are both {variable} in a "
                f"shell, got env"
            )
    return {variable: _plain(value) for variable, (_, value) in found.items()}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
