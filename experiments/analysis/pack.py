"""`tuneoff pack`: store the logs of an experiment in one small file that can be committed.

The file holds JSON lines, compressed by xz: first a line with the format, then one line per run.
A run's line has the header of its log (settings, versions, hardware, fingerprint) and one column
per quantity: id, config, fidelity, value, error, cost, metrics, ask_s, tell_s and time. It also
has items if there are any, price if a trial spent less than its fidelity because it resumed another
one, and simulated if the clock is simulated (seconds, exact). Other seconds are rounded to 1e-6 and
times of arrival to 1e-3; all other numbers are exact. Tracebacks and trials without an answer are
left out. The same logs give the same bytes. Read the file with
`experiments.analysis.results.load`.
"""

import json
import lzma
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.analysis.results import order, run_at
from experiments.running.packed import PACK, PACK_FORMAT, unpacked
from experiments.running.readers import path as as_path
from experiments.running.rows import row_of
from experiments.running.settings import Command, Given, Setting
from experiments.running.whole_files import whole


def pack(folders: Sequence[Path], out: Path) -> tuple[int, int]:
    """Write the runs below some folders into one file.

    Runs are written one at a time, so memory does not grow with their number.

    Returns:
        The number of runs packed, and how many of them are unfinished.

    Raises:
        ValueError: the folder holds no run, a log is damaged, or `out` is a pack with evaluations
            that the new one would lack.
        OSError: the file cannot be written.
    """
    places = [log for folder in folders for log in folder.rglob("log.jsonl")]
    keys = [(_key(log), log) for log in places]
    logs = [log for key, log in sorted(keys, key=lambda pair: pair[0] or ()) if key is not None]
    if not logs:
        raise ValueError(f"{', '.join(map(str, folders))}: expected logs of runs, got none")
    packed: dict[str, int] = {}
    n_open = 0
    with whole(out, over_pack=True) as new:
        with lzma.open(new, "wt", encoding="utf-8", preset=9) as file:
            file.write(json.dumps({"pack_format": PACK_FORMAT, "runs": len(logs)}) + "\n")
            for log in logs:
                row = row_of(log)
                assert row is not None
                n_open += not row["ended"]
                packed[row["header"]["identity"]] = len(row["columns"]["id"])
                file.write(json.dumps(row, separators=(",", ":")) + "\n")
        _check_kept(out, packed)
    return len(logs), n_open


def _check_kept(out: Path, packed: Mapping[str, int]) -> None:
    """Raise `ValueError` if an earlier pack has evaluations that the new one lacks.

    The logs of the earlier pack may have been removed, as a pack replaces them.

    Args:
        out: the file that the new pack replaces.
        packed: the number of evaluations of each run of the new pack, by identity.
    """
    if not out.exists():
        return
    earlier = [run_at(f"{out}, line {number}", row) for number, row in unpacked(out)]
    lost = sum(packed.get(run.header.identity, -1) < len(run.ids) for run in earlier)
    if lost:
        raise ValueError(
            f"out: expected a pack whose runs are all among the new ones, got {out} with {lost} "
            f"of {len(earlier)} runs that the new pack would lose; give another out=, or remove it "
            f"first"
        )


def _key(log: Path) -> tuple[Any, ...] | None:
    """Return the sort key of a log; None if the log is empty."""
    row = row_of(log)
    if row is None:
        return None
    run = run_at(str(log), row)  # raises for a run that `load` would refuse
    return order(run.header, run.header.budget)


COMMAND = Command(
    "pack",
    "Pack the runs below some folders into one small file that all commands can read.",
    [
        ("tuneoff pack results/smoke", f"writes results/smoke/{PACK}"),
        ("tuneoff pack results/a results/b out=both.jsonl.xz", "two folders in one file"),
    ],
    [Setting("out", "The file.", as_path, shown=f"{PACK} in the first folder")],
    folders="Folders of runs.",
)


def main(arguments: Sequence[str]) -> int:
    """Pack the runs and print a summary; return the exit status."""
    return COMMAND.answer(arguments, _pack)


def _pack(given: Given) -> int:
    out: Path = given["out"] or given.folders[0] / PACK
    for folder in given.folders:
        if not folder.is_dir():
            raise ValueError(f"FOLDER: expected a folder of runs, got {folder}")
    n_runs, n_open = pack(given.folders, out)
    unfinished = f", {n_open} of them unfinished" if n_open else ""
    print(f"{n_runs} runs{unfinished}, {out.stat().st_size / 1024:.0f} KiB: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
