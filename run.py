"""Run one optimizer on one objective: `python run.py optimizer=soo objective=branin budget=50`.

Everything that can be set stands in `conf/`. The same command resumes a run that was stopped.
"""

import os
import signal
import sys

from experiments.running.quick_start import quick_start

with quick_start():
    import hydra
    from omegaconf import DictConfig

    from experiments.running import interrupts
    from experiments.running.command_line import interrupted, prepare, run_one
    from experiments.running.leaving import carried_out
    from experiments.running.mistakes import explain

_mistakes: list[str] = []  # of the runs of a sweep: one bad run does not stop the others


@hydra.main(config_path="conf", config_name="config", version_base=None)
def main(settings: DictConfig) -> None:
    try:
        run_one(settings)
    except Exception as error:
        _report(error)


def _report(error: Exception) -> None:
    """Print a user's mistake in one line; raise whatever is not one."""
    line = explain(error, sys.argv[1:])
    if line is None:
        raise error
    print(line, file=sys.stderr)
    _mistakes.append(line)


def command() -> int:
    """Run what the command line says; return the exit status."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach `_report` instead of Hydra's own lines
    interrupts.install((signal.SIGINT, signal.SIGTERM), once=False)
    sys.argv[1:] = prepare(sys.argv[1:])
    try:
        main()
    except KeyboardInterrupt as interrupt:
        print(interrupted(sys.argv), file=sys.stderr)
        return 143 if interrupt.args else 130
    except Exception as error:
        _report(error)
    return 2 if _mistakes else 0


if __name__ == "__main__":
    carried_out(command)
