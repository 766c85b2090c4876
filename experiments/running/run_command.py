"""`tuneoff run`: run one optimizer on one objective; with -m, one run per combination of values."""

import os
import sys
from collections.abc import Sequence

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.running import interrupts, words
from experiments.running.command_line import interrupted, run_one
from experiments.running.composing import (
    FAMILIES,
    composed,
    config_dirs,
    options,
    prepare,
    readable,
    use_config_dirs,
    yaml_rows,
)
from experiments.running.from_words import names_of
from experiments.running.mistakes import complain, explain
from experiments.running.provenance import CONF
from experiments.running.terminal import typed
from objectives.expected import did_you_mean

_SWEEPS = "--multirun"
_FLAGS = ("-m", _SWEEPS, "--resolve")
_SHOWN = ("job", "hydra", "all")

_HELP = """tuneoff run [key=value ...]

Run one optimizer on one objective. The same command resumes a run that was stopped, and a larger
budget extends one that has ended. `python run.py` is the same.

Examples:
{examples}

Arguments:
{arguments}

{plug_ins}"""

_EXAMPLES = (
    ("tuneoff run optimizer=soo objective=branin budget=50", "seconds"),
    ("tuneoff run optimizer=bamsoo objective=lora_ft", "tunes a real LoRA fine-tuning"),
    ("tuneoff run optimizer=soo optimizer.variant=official objective=levy", "another variant"),
    ("tuneoff run objective=branin objective.space.x1.upper=5", "a smaller space"),
    ("tuneoff run -m optimizer=lhs,soo objective=branin seed='range(0,5)'", "ten runs"),
    ("tuneoff run --config-dir=conf optimizer=mine objective=branin", "your own optimizer"),
    ("tuneoff run objective=lora_ft dry_run=true", "says what it would do, and checks it"),
    ("tuneoff run optimizer=soo objective=levy --help", "the settings of these two"),
    ("tuneoff run optimizer=soo objective=levy --cfg job", "prints all settings, runs nothing"),
)


class _Job:
    """The parts that the runs of one command line share.

    Attributes:
        arguments: the command line as typed.
        mistakes: one line for each run that failed because of a user's mistake; the others
            continue.
        fault: an error in tuneoff itself.
    """

    arguments: Sequence[str] = ()
    mistakes: list[str] = []
    fault: BaseException | None = None


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments say and return the exit status."""
    given, argv = list(arguments), sys.argv
    _Job.arguments, _Job.mistakes, _Job.fault = given, [], None
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach `_report` instead of Hydra's own lines
    try:
        rest, folders = words.take_config_dirs(given)
        use_config_dirs(folders)
        if words.wants_help(given):
            print(help_text([word for word in rest if "=" in word]))
            return 0
        flags, overrides = _divided(rest)
        if flags or any("hydra" in word for word in overrides):
            prepared = prepare(overrides, swept=_SWEEPS in flags)
            sys.argv = [argv[0], *flags, "--", *prepared]
            GlobalHydra.instance().clear()
            with readable():
                _run_all()
        else:  # the usual entry point of Hydra would compose the settings twice
            _run(composed("config", overrides), names_of(overrides))
    except KeyboardInterrupt as interrupt:
        interrupts.taken()
        print(interrupted(typed("run", given)), file=sys.stderr)
        return 143 if interrupt.args else 130
    except Exception as error:
        _report(error)
    finally:
        sys.argv = argv
    if _Job.fault is not None:
        raise _Job.fault
    return 2 if _Job.mistakes else 0


@hydra.main(config_path=str(CONF), config_name="config", version_base=None)
def _run_all(settings: DictConfig) -> None:
    """Make one run; Hydra calls this once, or for every combination of values."""
    choices = HydraConfig.get().runtime.choices
    _run(settings, {family: str(choices[family]) for family in FAMILIES})


def _run(settings: DictConfig, names: dict[str, str]) -> None:
    if _Job.fault is not None:
        return
    try:
        faults = run_one(settings, names)
    except Exception as error:
        _report(error)
        return
    for line in faults:
        complain(line)
    _Job.mistakes += faults


def _report(error: Exception) -> None:
    """Print a user's mistake in one line; keep any other error, which ends the command."""
    line = explain(error, _Job.arguments)
    if line is None:
        _Job.fault = error
        return
    complain(line)
    _Job.mistakes.append(line)


def _divided(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the arguments into flags for Hydra's own parser and settings.

    Raises:
        ValueError: an argument is not understood.
    """
    flags: list[str] = []
    overrides: list[str] = []
    given = iter(arguments)
    for word in given:
        if word in _FLAGS:
            flags.append(_SWEEPS if word == "-m" else word)
        elif word.partition("=")[0] in ("--cfg", "-c"):
            shown = word.partition("=")[2] or next(given, "")
            if shown not in _SHOWN:
                raise ValueError(f"--cfg: expected one of {', '.join(_SHOWN)}, got {shown!r}")
            flags += ["--cfg", shown]
        else:
            overrides.append(word)
    if _SWEEPS in flags and "--cfg" in flags:
        raise ValueError("--cfg: expected the settings of one run, got -m as well")
    if "--resolve" in flags and "--cfg" not in flags:
        raise ValueError("--resolve: expected --cfg with it, got none")
    return flags, overrides


def help_text(arguments: Sequence[str]) -> str:
    """Return the help; with `optimizer=` or `objective=`, also the settings of these."""
    width = max(len(line) for line, _ in _EXAMPLES)
    examples = [f"  {line.ljust(width)}  # {what}" for line, what in _EXAMPLES]
    rows = yaml_rows("config")
    rows += [
        (f"{family}.<key>=", f"A setting of the {family}: its YAML in conf/{family}/ lists them.")
        for family in FAMILIES
    ]
    rows += [
        (
            "objective.space.<name>.<key>=",
            "A key of a parameter: type, lower, upper, log, choices.",
        ),
        (f"{words.CONFIG_DIR}=FOLDER", words.CONFIG_DIR_MEANING),
        ("-m", "Make one run for each of several values: seed=0,1 or 'range(0,5)' or 'glob(*)'."),
        ("--cfg job", "Print all settings and run nothing."),
        ("--help", "Print this text."),
    ]
    return _HELP.format(
        examples="\n".join(examples),
        arguments="\n".join(words.table(rows)),
        plug_ins="\n\n".join(_plug_ins(arguments)),
    ).rstrip()


def _plug_ins(arguments: Sequence[str]) -> list[str]:
    """Return the YAML files of the optimizer and the objective that are named."""
    texts = []
    for word in arguments:
        family, _, name = word.partition("=")
        if family in FAMILIES:
            if name not in options(family):
                known = options(family)
                meant = did_you_mean(name, known)
                raise ValueError(f"{family}: expected one of {', '.join(known)}, got {name}{meant}")
            files = [folder / family / f"{name}.yaml" for folder in config_dirs()]
            file = next(file for file in files if file.is_file())
            texts.append(f"{word}:\n\n{file.read_text(encoding='utf-8').rstrip()}")
    return texts
