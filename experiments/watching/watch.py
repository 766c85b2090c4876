"""`tuneoff watch`: show runs in optuna-dashboard while they are made.

An Optuna journal is kept in step with the logs as they grow, and optuna-dashboard shows it on the
loopback address. `experiments/watching/study.py` says how a run becomes a study.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.running import interrupts
from experiments.running.readers import number, switch, whole
from experiments.running.readers import path as as_path
from experiments.running.settings import Command, Given, Setting
from experiments.running.whole_files import named

if TYPE_CHECKING:
    from experiments.watching.dashboard import Dashboard
    from experiments.watching.journal import Journal

NAME = "tuneoff.journal"

_SHARE = 4.0
"""The pause after a pass is at least this times the pass, so that a slow disk is not kept busy."""

COMMAND = Command(
    "watch",
    "Show runs in optuna-dashboard while they are made. Ctrl-C ends it; the runs continue.",
    [
        ("tuneoff watch results", "all runs below results/, new ones too"),
        ("tuneoff watch results/smoke port=9000", "one sweep, on another port"),
        ("tuneoff watch results serve=false out=runs.journal", "for an optuna-dashboard elsewhere"),
        ("tuneoff watch results once=true out=runs.journal", "writes the journal and ends"),
    ],
    [
        Setting("port", "The port.", whole(1, 65535), shown="8080, or a free one if it is taken"),
        Setting("serve", "Whether to serve the dashboard.", switch, default=True),
        Setting("once", "Whether to write the journal once and end.", switch, default=False),
        Setting("every", "Seconds between two looks at the logs.", number(0.05, 3600), default=1.0),
        Setting(
            "out",
            "The journal: a new file, or an earlier one, which is replaced.",
            as_path,
            shown="a temporary file",
        ),
    ],
    folders="Folders of runs and sweeps; the logs in them are only read.",
    notes="""The page is served on this machine's loopback address, and only reads.
From another machine: ssh -L 8080:localhost:8080 NODE, then open http://localhost:8080.""",
)


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    return COMMAND.answer(arguments, _watch)


def _watch(given: Given) -> int:
    for folder in given.folders:
        if not folder.is_dir():
            raise ValueError(f"FOLDER: expected a folder of runs, got {folder}")
    serving = given["serve"] and not given["once"]
    if serving:
        from experiments.watching.dashboard import Dashboard
    from experiments.watching.journal import Journal

    with _place(given["out"], kept=not serving) as path, named(path):
        journal = Journal(given.folders, path)
        if given["once"]:
            return _once(journal, given.folders)
        page = Dashboard(journal.storage, given["port"]) if serving else None
        try:
            return _follow(journal, page, given["every"])
        finally:
            if page is not None:
                page.close()


def _once(journal: "Journal", folders: Sequence[Path]) -> int:
    try:
        journal.step()
    except OSError:
        journal.path.unlink(missing_ok=True)
        raise
    if not journal.n_runs:
        journal.path.unlink()
        if journal.n_complaints:
            return 2  # they were printed
        raise ValueError(f"{folders[0]}: expected logs of runs below it, got none")
    print(f"{_runs(journal.n_runs)}: {journal.path}")
    return 0


def _follow(journal: "Journal", page: "Dashboard | None", every_s: float) -> int:
    """Keep the journal in step until a signal ends the command."""
    try:
        where = f"follows the logs: {journal.path}" if page is None else page.url
        print(f"tuneoff watch: {where} (Ctrl-C ends it)", flush=True)
        said = -1
        while True:
            began = time.monotonic()
            journal.step()
            took = time.monotonic() - began
            if journal.n_runs != said:
                said = journal.n_runs
                print(f"{_runs(said)}, {took:.2g} s", flush=True)
            time.sleep(max(every_s, _SHARE * took))
    except KeyboardInterrupt as interrupt:
        interrupts.taken()
        return 143 if interrupt.args else 0


def _runs(n: int) -> str:
    return "1 run" if n == 1 else f"{n} runs"


@contextmanager
def _place(out: Path | None, kept: bool) -> Iterator[Path]:
    """Give the path of the journal; a temporary one is removed at the end unless it is kept."""
    if out is not None:
        _check_replaceable(out)
        yield out
        return
    folder = Path(tempfile.mkdtemp(prefix="tuneoff-watch-"))
    try:
        yield folder / NAME
    finally:
        if not kept or not (folder / NAME).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _check_replaceable(path: Path) -> None:
    """Raise `ValueError` if a path holds something else than a journal."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    is_journal = False
    if path.is_file():
        with path.open("rb") as file:
            begun = file.read(12)
        is_journal = begun in (b"", b'{"op_code":0')
    if not is_journal:
        raise ValueError(
            f"out: expected a new path, or an earlier journal to replace, got {path}; "
            f"remove it first"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
