"""`tuneoff report`: write a page about runs, with its figures and tables for papers."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from experiments.running import interrupts
from experiments.running.readers import by_metric, number, one_of
from experiments.running.readers import path as as_path
from experiments.running.settings import REQUIRED, Command, Given, Setting

_NEEDED = ("jinja2", "shap", "optuna")


COMMAND = Command(
    "report",
    "Write one page about runs that needs no network, with figures and LaTeX tables for papers.",
    [
        ("tuneoff report results/smoke out=report", "the page is report/index.html"),
        ("tuneoff report results/lora out=report metric=accuracy", "compared by a metric"),
    ],
    [
        Setting(
            "out",
            "A folder: index.html, figures/*.pdf, figures/*.svg and tables/*.tex go there.",
            as_path,
            REQUIRED,
        ),
        Setting("metric", "The metric to compare by.", shown="the minimised value"),
        Setting(
            "direction",
            "Whether lower (min) or higher (max) values of the metric are better.",
            one_of("min", "max"),
            shown="as the objective declares",
        ),
        Setting("equal", "Differences up to this size are ties.", number(0), default=0.0),
        Setting(
            "references",
            "The references of the hypervolume by goal. Choose them without regard to the runs.",
            by_metric("references", "{ttft_p90_s: 6}"),
            shown="as the runs declare",
        ),
    ],
    folders="Folders of runs, or files written by tuneoff pack.",
)


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    return COMMAND.answer(arguments, _report)


def _report(given: Given) -> int:
    written = make(given)
    print(f"{written[0]}: the report; {len(written) - 1} figures and tables next to it")
    return 0


def make(given: Given) -> list[Path]:
    """Write the report on some folders and return its files, the page first."""
    for module in _NEEDED:
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    with interrupts.held():  # an import or a fork may swallow an interrupt
        from experiments.analysis.report.contents import contents
        from experiments.analysis.report.forests import prepare
        from experiments.analysis.report.page import Figures, write
        from experiments.analysis.report.subject import read_subject
        from experiments.analysis.report.workers import workers
        from experiments.running.looks import looks
        from experiments.running.whole_files import whole_files

    out: Path = given["out"]
    with whole_files(out) as new, workers(1, 2) as (forests, drawing):
        with interrupts.held():
            forests.submit(prepare)  # imports libraries while the runs are read
        subject = read_subject(
            given.folders, given["metric"], given["direction"], given["references"]
        )
        figures = Figures(new / "figures", looks(subject.suite.optimizers), drawing)
        written = write(contents(subject, forests, given["equal"], figures.add), figures, new)
    return [out / path.relative_to(new) for path in written]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
