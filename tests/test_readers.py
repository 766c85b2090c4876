"""Files from elsewhere: each is read within limits, or refused in one line that names it."""

import json
import lzma
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.analysis import compare, export, pack, verdict
from experiments.analysis.report import __main__ as report
from experiments.analysis.results import load
from experiments.analysis.spreadsheet import cell
from experiments.running.json_lines import parsed
from experiments.running.packed import PACK
from experiments.running.rows import row_of
from experiments.running.run_log import RunLog
from malformed import log, written
from processes import finish

ROOT = Path(__file__).parents[1]


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def refusal(path: Path) -> str:
    """Return the one line with which every command refuses runs below a folder."""
    with pytest.raises(ValueError) as raised:
        load([path])
    said = str(raised.value)
    assert "\n" not in said and str(path) in said and "expected" in said and "got" in said
    return said


def write_pack(path: Path, *rows: Any, runs: int | None = None) -> Path:
    head = {"pack_format": 1, "runs": len(rows) if runs is None else runs}
    path.write_bytes(lzma.compress(written([head, *rows])))
    return path


@pytest.fixture
def row(tmp_path: Path) -> dict[str, Any]:
    """Return the row of a complete log."""
    (tmp_path / "whole.jsonl").write_bytes(written(log(1)))
    row = row_of(tmp_path / "whole.jsonl")
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("number", "key", "value", "said"),
    [
        (1, "ask_s", None, "line 2"),
        (1, "n", 0, "ask.n"),
        (1, "trials", 5, "a list"),
        (2, "cost", None, "evaluation.cost"),
        (2, "metrics", None, "evaluation.metrics"),
        (2, "id", "0", "evaluation.id"),
        (2, "error", {}, "evaluation.error"),
        (0, "names", None, "header.names"),
        (0, "budget", 1e300, "at most 1e+07 evaluations"),
        (0, "seed", "1", "header.seed"),
    ],
)
def test_json_of_the_wrong_type_is_refused_with_file_and_key(
    number: int, key: str, value: Any, said: str, tmp_path: Path
) -> None:
    events = log(1)
    events[number][key] = value
    if key == "budget":
        events[-1][key] = value
    (tmp_path / "log.jsonl").write_bytes(written(events))
    assert said in refusal(tmp_path)


@pytest.mark.parametrize("key", ["ask_s", "trials"])
def test_a_missing_key_is_refused_with_file_and_line(key: str, tmp_path: Path) -> None:
    events = log(0)
    del events[1][key]
    (tmp_path / "log.jsonl").write_bytes(written(events))
    assert f"{tmp_path / 'log.jsonl'}, line 2:" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 400 + b"1" + b"}" * 400, "nested too deeply"),
        (b'{"value": NaN}', "NaN is not a JSON number"),
        (b'{"value": -Infinity}', "-Infinity is not a JSON number"),
        (b"9" * 5000, "too large"),
        (b'"\\ud800"', "not Unicode"),
        (b"\xff", "not UTF-8"),
        (b'{"value"', "not JSON"),
    ],
)
def test_a_line_that_is_none_of_ours_says_why(text: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        parsed(text)
    whole = written(log(0)).splitlines(keepends=True)
    (tmp_path / "log.jsonl").write_bytes(b"".join([*whole[:3], text, b"\n", *whole[3:]]))
    said = refusal(tmp_path)
    assert reason in said and "line 4" in said


@pytest.mark.parametrize(
    "end", [b'{"event": "evaluat\n', b"\x00" * 64 + b"\n", b"\xff\xfe\n", b"{"]
)
def test_a_damaged_last_line_is_forgiven_with_its_newline_or_without(
    end: bytes, tmp_path: Path
) -> None:
    whole = written(log(0))
    (tmp_path / "log.jsonl").write_bytes(whole + end)
    assert len(load([tmp_path])[0].ids) == 6
    with RunLog(tmp_path):
        pass
    assert (tmp_path / "log.jsonl").read_bytes() == whole


def test_a_pipe_as_a_log_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.jsonl")
    began = time.monotonic()
    assert "a pipe" in refusal(tmp_path)
    assert time.monotonic() - began < 30


def test_a_device_as_a_pack_is_refused(tmp_path: Path) -> None:
    (tmp_path / PACK).symlink_to("/dev/zero")
    assert "regular file" in refusal(tmp_path)


def test_a_small_pack_that_becomes_huge_is_refused_in_little_memory(tmp_path: Path) -> None:
    compressor = lzma.LZMACompressor(preset=1)
    with (tmp_path / PACK).open("wb") as file:
        file.write(compressor.compress(b'{"pack_format": 1, "runs": 1}\n{"x": "'))
        for _ in range(160):
            file.write(compressor.compress(b"a" * (1 << 20)))
        file.write(compressor.flush())
    assert (tmp_path / PACK).stat().st_size < 200_000  # of 160 MiB
    program = (
        "import resource, sys; from pathlib import Path; from experiments.analysis import results\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: results.load([Path(sys.argv[1])])\n"
        "except ValueError as error: print(error, file=sys.stderr)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "MiB" in done.stderr and done.stderr.count("\n") == 1
    assert int(done.stdout) * 1024 < 300 << 20


@pytest.mark.parametrize("key", ["cost", "error", "fidelity", "value"])
def test_a_short_column_is_refused(key: str, row: dict[str, Any], tmp_path: Path) -> None:
    del row["columns"][key][-1]
    path = write_pack(tmp_path / PACK, row)
    assert f"columns.{key}: expected 6 entries, as many as ids, got 5" in refusal(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cost", [1, 1, 1, 1, 1, -1]),
        ("fidelity", [1, 1, 1, 1, 1, 0]),
        ("fidelity", [1, 1, 1, 1, 1, 2]),
        ("id", [0, 1, 2, 3, 4, 4]),
        ("id", [0, 1, 2, 3, 4, 2**70]),
        ("error", [None, None, None, 3, None, None]),
        ("value", ["1", 1, 1, 1, 1, 1]),
        ("value", [None] * 6),
        ("config", {"x": [[1]] * 6}),
        ("metrics", {"accuracy": 5}),
        ("items", [{"accuracy": 1}] * 6),
        ("time", [1e300] * 6),
    ],
)
def test_a_column_of_the_wrong_kind_is_refused_with_its_line(
    key: str, value: Any, row: dict[str, Any], tmp_path: Path
) -> None:
    row["columns"][key] = value
    path = write_pack(tmp_path / PACK, row)
    said = refusal(path)
    assert "line 2" in said and "columns" in said


def test_a_pack_with_fewer_runs_than_it_says_is_refused(
    row: dict[str, Any], tmp_path: Path
) -> None:
    path = write_pack(tmp_path / PACK, row, runs=2)
    assert "it says that it holds 2 runs, and it holds 1" in refusal(path)


@pytest.mark.parametrize("optimizer", ["random", "lhs"])
@pytest.mark.parametrize("key", ["seed", "objective", "fingerprint", "optimizer", "names"])
def test_a_header_that_contradicts_its_identity_is_refused(
    optimizer: str, key: str, tmp_path: Path
) -> None:
    done = finish(f"optimizer={optimizer}", "objective=branin", "budget=3", f"out={tmp_path}")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "log.jsonl"
    header, *rest = lines(path.read_bytes())
    assert len(load([tmp_path])) == 1
    header[key] = 7 if key == "seed" else {**header[key], "x": "other"}
    path.write_bytes(written([header, *rest]))
    assert "line 1" in refusal(tmp_path)


def test_the_identity_of_an_earlier_log_survives_packing(tmp_path: Path) -> None:
    source = ROOT / "tests" / "logs" / "format1.jsonl"
    (tmp_path / "log.jsonl").write_bytes(source.read_bytes())
    pack.pack([tmp_path], tmp_path / "packed.xz")
    (kept,), (packed,) = load([tmp_path]), load([tmp_path / "packed.xz"])
    assert kept.header == packed.header


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+1", "-x", "@SUM(A1)", "\tx", "|x"])
def test_a_spreadsheet_gets_no_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1.5", "+2e3", "-7", "plain", "", 3, -3, -0.5, None])
def test_numbers_and_plain_texts_are_left_as_they_are(value: Any) -> None:
    assert cell(value) == value


def test_formulas_in_names_and_configurations_reach_no_csv(tmp_path: Path) -> None:
    events = log(0)
    events[0]["names"] = {"optimizer": "=1+1", "objective": "@f"}
    for event in events:
        if event["event"] == "ask":
            event["trials"][0]["config"]["k"] = "=cmd|x"
    (tmp_path / "log.jsonl").write_bytes(written(events))
    export.export(load([tmp_path]), "csv", tmp_path / "runs.csv")
    text = (tmp_path / "runs.csv").read_text()
    assert ",=" not in text and ",@" not in text and "'=cmd|x" in text and "'=1+1" in text


def test_a_label_shows_control_characters_instead_of_sending_them(tmp_path: Path) -> None:
    events = log(0)
    events[0]["names"] = {"optimizer": "\x1b[31mred\x07", "objective": "f\nf\u202e"}
    (tmp_path / "log.jsonl").write_bytes(written(events))
    (run,) = load([tmp_path])
    assert run.optimizer == r"\x1b[31mred\x07" and run.objective == r"f\nf\u202e"


def test_every_command_answers_a_damaged_log_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = log(0)
    events[2]["cost"] = None
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "log.jsonl").write_bytes(written(events))
    for main, words in (
        (verdict.main, []),
        (report.main, [f"out={tmp_path / 'report'}"]),
        (export.main, ["format=csv", f"out={tmp_path / 'a.csv'}"]),
    ):
        assert main([str(folder), *words]) == 2
        out, error = capsys.readouterr()
        assert out == "" and error.count("\n") == 1 and "line 3" in error
    for read in (compare.comparable_runs, lambda folders: pack.pack(folders, tmp_path / "a.xz")):
        with pytest.raises(ValueError, match="line 3"):
            read([folder])
