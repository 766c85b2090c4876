"""`tuneoff`: its help, the files that it finds, and its exit status."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import command
from experiments.command import COMMANDS
from experiments.running.terminal import Printable, printable
from processes import ROOT

PYTHON = [sys.executable, "-m", "experiments"]


def tuneoff(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder that is not the checkout."""
    return subprocess.run(
        [*PYTHON, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"tuneoff {name}")
    assert "Examples:\n  tuneoff" in said and "Arguments:" in said
    settings = [line for line in said.splitlines() if line.startswith("  ") and "=  " in line]
    assert settings, "expected a line per setting"
    assert command.main(["help", name]) == 0
    assert capsys.readouterr().out == said


def test_the_help_lists_every_command_and_imports_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "experiments", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint(["numpy", "hydra", "yaml", "ConfigSpace"])


def test_the_old_options_are_answered_with_the_new_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["compare", "runs", "--out", "x.png"], ["pack", "runs", "--out=x.png"]):
        assert command.main(words) == 2
        assert "out: expected out=x.png, got --out" in capsys.readouterr().err


def test_every_command_reads_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run = ["optimizer=random", "objective=branin", "budget=3", "plot=false"]
    assert command.main(["run", *run, "out=~/runs/a"]) == 0
    assert command.main(["run", *run, "seed=1", 'out="~/runs/b"']) == 0
    assert command.main(["pack", "~/runs", "out=~/packed.jsonl.xz"]) == 0
    assert command.main(["export", "~/packed.jsonl.xz", "format=csv", "out=~/a.csv"]) == 0
    assert command.main(["compare", "~/runs", "out=~/a.png"]) == 0
    assert command.main(["verdict", "~/runs", "pairs=~/pairs.csv"]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert {"runs", "packed.jsonl.xz", "a.csv", "a.png", "pairs.csv"} <= names
    assert "~" not in names


@pytest.mark.parametrize("name", ["résultats", "a=b", "a b", "a,b", "(1)", "a'b", 'a"b'])
def test_a_folder_may_have_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["optimizer=random", "objective=branin", "budget=2", "plot=false", f"out={name}"]
    status = command.main(["run", *words])
    if name == "a,b":  # two values, as -m would take them
        name = '"a,b"'
        status = command.main(["run", *words[:-1], f"out={name}"])
        name = "a,b"
    assert status == 0
    assert (tmp_path / name / "log.jsonl").is_file()


def test_the_best_is_printed_in_full_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    import yaml

    monkeypatch.chdir(tmp_path)
    command.main(["run", "optimizer=random", "objective=branin", "budget=5", "plot=false", "out=a"])
    events = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    values = {e["id"]: e["value"] for e in events if e["event"] == "evaluation"}
    id = min(values, key=lambda id: values[id])
    configs = {t["id"]: t["config"] for e in events if e["event"] == "ask" for t in e["trials"]}
    for format, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        capsys.readouterr()
        assert command.main(["best", "a", f"format={format}"]) == 0
        (found,) = read(capsys.readouterr().out)
        assert (found["trial"], found["value"], found["config"]) == (id, values[id], configs[id])


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    program = f"{' '.join(PYTHON)} sweep --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def test_a_full_disk_for_what_is_printed_is_said_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PYTHON, "--help"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == (
        "standard output: expected it to be writable, got: No space left on device\n"
    )


@pytest.mark.parametrize("library", ["numpy", "scipy"])
def test_an_interrupt_during_imports_is_one_line(library: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*PYTHON, "run", "optimizer=gp_bo", "objective=branin", "budget=4000", f"out={tmp_path}"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    while f"/{library}" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == 1


def test_control_characters_are_shown_and_not_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printable("\x1b[31mred\x07\u202e\n\tü") == "\\x1b[31mred\\x07\\u202e\n\tü"
    monkeypatch.chdir(tmp_path)
    assert command.main(["verdict", "\x1b[31m"]) == 2
    assert command.main(["\x1b[2J"]) == 2
    assert command.main(["run", "optimizer=\x1b[2J"]) == 2
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err


def test_what_a_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("w", encoding="ascii") as file:
        Printable(file).write("é \udcff\n")
    assert path.read_text() == "\\xe9 \\udcff\n"


def test_the_current_folder_comes_last_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.getcwd()
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "path", ["", *[p for p in sys.path if p not in ("", here)]])
    command.put_current_folder_last()
    assert sys.path[0] not in ("", "/")
    assert sys.path[-1] == "/"
    assert sys.path.index(str(ROOT)) < len(sys.path) - 1


def test_values_that_hydra_reads_otherwise_are_text(tmp_path: Path) -> None:
    done = tuneoff(
        "run", "optimizer=random", "objective=branin", "budget=2", "plot=false",
        "out=~no/such=(folder)", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == ("out: expected the home folder of a user, got '~no/such=(folder)'\n")
