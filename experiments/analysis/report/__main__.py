"""Write a page about runs, and its figures and tables for papers.

    python -m experiments.analysis.report FOLDER... out=FOLDER
        [metric=NAME] [direction=min|max] [equal=0]

Each FOLDER is searched for runs (a file by `experiments.analysis.pack` will do too). `out` gets
`index.html`, one page that needs no network, `figures/*.pdf`, `*.svg` and `tables/*.tex`.
Runs are compared by the value that was minimised, unless a metric is named; in the verdict,
differences up to `equal` are ties.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from experiments.analysis import words
from experiments.running.mistakes import answered

_KEYS = ("out", "metric", "direction", "equal")
_NEEDED = ("jinja2", "shap", "optuna")


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    paths: list[Path]
    out: Path
    metric: str | None
    direction: str | None
    equal: float


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 2

    def command() -> int:
        written = make(options(arguments))
        print(f"{written[0]}: the report; {len(written) - 1} figures and tables beside it")
        return 0

    return answered(command, list(arguments))


def make(given: Options) -> list[Path]:
    """Write the report on some folders and return its files, the page first."""
    for module in _NEEDED:
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    from experiments.analysis.report.contents import contents
    from experiments.analysis.report.forests import prepare
    from experiments.analysis.report.page import Figures, write
    from experiments.analysis.report.subject import read_subject
    from experiments.analysis.report.workers import workers
    from experiments.running.looks import looks

    with workers(1, 2) as (forests, drawing):
        forests.submit(prepare)  # while the runs are read
        subject = read_subject(given.paths, given.metric, given.direction)
        figures = Figures(given.out / "figures", looks(subject.suite.optimizers), drawing)
        return write(contents(subject, forests, given.equal, figures.add), figures, given.out)


def options(arguments: Sequence[str]) -> Options:
    """Return what a command line says.

    Raises:
        ValueError: there is no path, no `out`, or a setting that does not exist.
    """
    paths, given = words.split(arguments, _KEYS)
    if not given.get("out"):
        raise ValueError("out: expected out=FOLDER for the report, got none")
    return Options(
        paths,
        Path(given["out"]),
        given.get("metric"),
        given.get("direction"),
        words.number(given, "equal", 0.0),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
