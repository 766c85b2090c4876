"""Write a page about runs, and its figures and tables for papers.

    python -m experiments.report FOLDER... out=FOLDER [metric=NAME better=higher|lower]

Each FOLDER is searched for runs (a file by `experiments.pack` will do too). `out` gets
`index.html`, one page that needs no network, `figures/*.pdf`, `*.svg` and `tables/*.tex`.
Runs are compared by the value that was minimised, unless a metric is named.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.mistakes import explain
from experiments.statistics.anytime import Quantity

_KEYS = ("out", "metric", "better")


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 2
    try:
        paths, given = read(arguments)
        written = make(paths, Path(given["out"]), quantity(given))
    except Exception as error:
        line = explain(error, [])
        if line is None:
            raise
        print(line, file=sys.stderr)
        return 2
    print(f"{written[0]}: the report; {len(written) - 1} figures and tables beside it")
    return 0


def make(paths: Sequence[Path], out: Path, compared: Quantity | None) -> list[Path]:
    """Write the report on some folders and return its files, the page first."""
    from experiments.report.contents import contents
    from experiments.report.gather import gather
    from experiments.report.page import write

    found = gather(paths, compared)
    return write(contents(found), found.suite.optimizers, out)


def read(arguments: Sequence[str]) -> tuple[list[Path], dict[str, str]]:
    """Return the paths and the settings of a command line.

    Raises:
        ValueError: there is no path, no `out`, or a setting that does not exist.
    """
    paths, given = [], {}
    for word in arguments:
        key, equals, value = word.partition("=")
        if equals and key in _KEYS:
            given[key] = value
        elif equals and not Path(word).exists():
            raise ValueError(f"{word}: expected key=value with one of {', '.join(_KEYS)}, got {key}")
        else:
            paths.append(Path(word))
    if not paths:
        raise ValueError("report: expected a folder of runs, got none")
    if not given.get("out"):
        raise ValueError("out: expected out=FOLDER for the report, got none")
    return paths, given


def quantity(given: dict[str, str]) -> Quantity | None:
    """Return what is compared; None for the value.

    Raises:
        ValueError: a metric without its direction, or the other way round.
    """
    metric, better = given.get("metric"), given.get("better")
    if metric is None and better is None:
        return None
    if metric is None:
        raise ValueError(f"metric: expected metric=NAME beside better={better}, got none")
    if better not in ("higher", "lower"):
        raise ValueError(f"better: expected higher or lower beside metric={metric}, got {better}")
    return Quantity(metric, -1 if better == "higher" else 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
