"""`tuneoff check`: run the conformance suite on a plug-in, and print one line per fact."""

import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from experiments.running.composing import FAMILIES, options, use_config_dirs
from experiments.running.settings import Command, Given, Setting
from experiments.testing import goals_suite, objective_suite, optimizer_suite
from experiments.testing.conversation import LENGTH, MIXED
from experiments.testing.goals_suite import GOALS, LIMITS
from experiments.testing.plug_ins import ObjectiveYaml, OptimizerYaml

COMMAND = Command(
    "check",
    "Run the conformance suite on an optimizer or an objective, and print one line per fact.",
    [
        ("tuneoff check optimizer=lhs", "half a minute"),
        ("tuneoff check --config-dir=conf optimizer=mine", "your own optimizer"),
        ("tuneoff check --config-dir=conf objective=mine", "your own objective"),
        ("tuneoff check optimizer=soo optimizer.variant=published", "with other settings"),
    ],
    [
        Setting("optimizer", "The name of the optimizer's YAML file.", shown="none"),
        Setting("objective", "The name of the objective's YAML file.", shown="none"),
    ],
    notes="The exit status is 0 if all facts hold, 1 if a fact fails, and 2 if the plug-in cannot\n"
    "be created. The same facts are available as pytest tests in\n"
    "experiments.testing.optimizer_suite, goals_suite and objective_suite.",
    takes_config_dir=True,
)


def main(arguments: Sequence[str]) -> int:
    """Check a plug-in; return the exit status."""
    nested = tuple(f"{family}." for family in FAMILIES)
    settings = [word for word in arguments if word.startswith(nested) and "=" in word]
    others = [word for word in arguments if word not in settings]
    return COMMAND.answer(others, lambda given: _check(given, settings))


def _check(given: Given, settings: Sequence[str]) -> int:
    """Run the suite of the named plug-in.

    Raises:
        ValueError: no plug-in is named, or more than one.
    """
    named = [(family, given[family]) for family in FAMILIES if given[family]]
    if len(named) != 1:
        got = " and ".join(f"{family}={name}" for family, name in named) or "none"
        raise ValueError(f"check: expected optimizer=NAME or objective=NAME, got {got}")
    ((family, name),) = named
    use_config_dirs(given.config_dirs)
    known = options(family)
    if name not in known:
        raise ValueError(f"{family}: expected one of {', '.join(known)}, got {name}")
    if wrong := [word for word in settings if not word.startswith(f"{family}.")]:
        raise ValueError(f"check: expected settings of the {family}, got {wrong[0]}")
    own = tuple(word.removeprefix(f"{family}.") for word in settings)
    folders = tuple(given.config_dirs)
    if family == "optimizer":
        maker = OptimizerYaml(name, own, folders)
        maker(MIXED, seed=0, budget=LENGTH)  # or one line
        status = run(optimizer_suite.OptimizerSuite.of(maker)(), optimizer_suite.FACTS, name)
        return max(status, _on_goals(replace(maker, goals=GOALS, limits=LIMITS)))
    make = ObjectiveYaml(name, own, folders)
    if not make().cheap:
        print(f"{name} is expensive: the facts about its values are not checked", flush=True)
    return run(objective_suite.ObjectiveSuite.of(make)(), objective_suite.FACTS, name)


def _on_goals(maker: OptimizerYaml) -> int:
    """Run the suite of several goals and a limit, or print the line that refuses them."""
    line = goals_suite.refusal(maker)
    if line is not None:
        print(f"not checked on several goals: {line}")
        return 0
    suite = goals_suite.GoalsSuite.of(maker)()
    return run(suite, goals_suite.GOAL_FACTS, f"{maker.name} on two goals and a limit")


def run(suite: Any, facts: Sequence[str], name: str) -> int:
    """Print one line per fact, and the reason if it does not hold; return the exit status."""
    n_failed = 0
    for fact in facts:
        said = fact.removeprefix("test_").replace("_", " ")
        started = time.perf_counter()
        try:
            getattr(suite, fact)()
        except Exception as error:
            n_failed += 1
            print(f"FAILED  {said}\n        {_reason(error)}", flush=True)
        else:
            print(f"passed  {said} ({time.perf_counter() - started:.1f} s)", flush=True)
    print(f"{name}: {len(facts) - n_failed} of {len(facts)} facts hold")
    return 1 if n_failed else 0


def _reason(error: Exception) -> str:
    """Return the message of an error and its location."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split()) or (place.line or "")
    return f"{type(error).__name__}: {text} ({place.filename}, line {place.lineno})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
