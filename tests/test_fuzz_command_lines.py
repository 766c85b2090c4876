"""Malformed command lines of every command end in one readable line and the status 2."""

from pathlib import Path

import pytest

from experiments import command
from malformed_lines import SWEEP, lines, run_lines

EXPECTED = ("expected", "got")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, so that no files are found and every written file is noticed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _offence(words: list[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    """Return the fault in the answer to a command line, or None."""
    shown = [word[:60] for word in words]
    try:
        status = command.main(words)
    except Exception as error:
        return f"{shown}: {type(error).__name__}: {error}"
    err = capsys.readouterr().err
    readable = err.count("\n") == 1 and err.endswith("\n") and len(err) < 2000
    named = all(word in err for word in EXPECTED) and "Error executing job" not in err
    if status == 2 and readable and named and err[:-1].isprintable():
        return None
    return f"{shown}: status {status}, {err[:300]!r}"


def test_malformed_command_lines_of_every_command(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "runs").mkdir()
    found = [_offence(words, capsys) for words in lines(seed=0, folder="runs", n_each=12)]
    assert len(found) > 300
    assert [offence for offence in found if offence] == []
    assert sorted(path.name for path in elsewhere.iterdir()) == ["runs"]


def test_malformed_experiments(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = [_offence(["sweep", "experiment=smoke", word], capsys) for word in SWEEP]
    files = {
        "latin.yaml": "seeds: é".encode("latin-1"),
        "list.yaml": b"[1, 2]",
        "cut.yaml": b"optimizers: [",
        "deep.yaml": b"[" * 20_000,
        "empty.yaml": b"",
        "null.yaml": b"optimizers: null\nobjectives: null\nseeds: null\nbudget: null\n",
        "word.yaml": b"optimizers: [soo]\nobjectives: [branin]\nseeds: 0\nbudget: many\n",
        "key.yaml": b"optimizers: [soo]\nobjectives: [branin]\nseeds: 0\nbudget: 3\nworker: 2\n",
    }
    for name, content in files.items():
        (elsewhere / name).write_bytes(content)
        found.append(_offence(["sweep", f"experiment={name}"], capsys))
    assert [offence for offence in found if offence] == []
    assert sorted(path.name for path in elsewhere.iterdir()) == sorted(files)


def test_malformed_command_lines_of_run(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [_offence(["run", *words], capsys) for words in run_lines()]
    assert len(found) > 150
    assert [offence for offence in found if offence] == []
    assert not (elsewhere / "results").exists()
