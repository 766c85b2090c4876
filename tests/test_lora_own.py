"""A user's own model and data: Hugging Face folders, and one file of instructions."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.errors import InstantiationException
from litgpt import GPT, Config
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

from experiments.running.from_words import run_of
from objectives import hugging_face
from objectives.checkpoint import find
from objectives.lora_ft.data import load
from objectives.trial import Trial

SMALL = (
    *("objective.precision=fp32", "objective.device=cpu", "objective.steps=4", "objective.batch=2"),
    *("objective.heldout_items=4", "objective.heldout_items_least=2", "objective.test_items=2"),
    *("objective.threads=1", "objective.pieces=1", "objective.max_length=400"),
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))


def _tokenizer(folder: Path) -> int:
    """Write a tokenizer of single bytes; return the size of its vocabulary."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<end>": 0} | {sign: i for i, sign in enumerate(alphabet, start=1)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)


def _llama(folder: Path, **changes: Any) -> LlamaForCausalLM:
    """Write a Hugging Face folder with a random Llama of two small layers."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    about = LlamaConfig(
        vocab_size=_tokenizer(folder),
        max_position_embeddings=512,
        tie_word_embeddings=False,
        **{**sizes, **heads, **changes},
    )
    model = LlamaForCausalLM(about).eval()
    model.save_pretrained(folder)
    return model


def _instructions(path: Path, n: int = 24) -> Path:
    rows = [
        {"instruction": f"Say the number {i}.", "output": f"The number is {i}."} for i in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_hugging_face_folder_is_converted_once_and_computes_the_same(tmp_path: Path) -> None:
    theirs = _llama(tmp_path / "mine")
    found = find(str(tmp_path / "mine"))
    folder = found.folder()
    assert found.note == "mine (a Hugging Face folder)"
    assert not list(folder.glob("*.safetensors"))
    model = GPT(Config.from_file(folder / "model_config.yaml"))
    model.load_state_dict(torch.load(folder / "lit_model.pth"))
    tokens = torch.arange(1, 41)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, atol=1e-5, rtol=1e-4)
    written = (folder / "lit_model.pth").stat().st_mtime_ns
    assert find(str(tmp_path / "mine")).folder() == folder
    assert (folder / "lit_model.pth").stat().st_mtime_ns == written


def test_other_weights_are_another_model(tmp_path: Path) -> None:
    _llama(tmp_path / "a" / "mine")
    _llama(tmp_path / "b" / "mine", rms_norm_eps=1e-5)
    first, second = (find(str(tmp_path / name / "mine")).digest for name in "ab")
    assert first != second


def test_an_architecture_that_nobody_knows_is_refused_in_one_line(tmp_path: Path) -> None:
    _llama(tmp_path / "mine")
    path = tmp_path / "mine" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "strange"}))
    with pytest.raises(ValueError, match="architecture that LitGPT knows, got model_type strange"):
        find(str(tmp_path / "mine"))
    path.write_text("{}")
    with pytest.raises(ValueError, match="expected the sizes of a causal language model, got none"):
        find(str(tmp_path / "mine"))
    (tmp_path / "mine" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="objective.model: expected tokenizer.json in"):
        find(str(tmp_path / "mine"))


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("SmolLM2-135M-Instruct", (576, 30, 9, 3, 1536, 49152, 100000.0)),
        ("Llama-3.2-1B", (2048, 16, 32, 8, 8192, 128256, 500000.0)),
        ("Qwen2.5-0.5B", (896, 24, 14, 2, 4864, 151936, 1000000.0)),
    ],
)
def test_the_sizes_of_a_known_model_name_its_configuration(
    tmp_path: Path, name: str, about: tuple[float, ...]
) -> None:
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    more = ("intermediate_size", "vocab_size", "rope_theta")
    folder = tmp_path / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(dict(zip((*keys, *more), about, strict=True))))
    assert hugging_face.architecture(folder)["name"] == name


def test_a_name_of_the_hub_that_was_not_downloaded_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError) as error:
        find("somebody/a-model")
    assert str(error.value) == (
        "objective.model: expected a folder, or a model of the Hugging Face hub that was "
        "downloaded before, got somebody/a-model; run `litgpt download somebody/a-model` here, "
        "which downloads and converts it"
    )


def test_one_file_of_instructions_is_a_source_of_data(tmp_path: Path) -> None:
    data = load(str(_instructions(tmp_path / "mine.jsonl", 3)))
    assert [item.output for item in data.instructions] == [f"The number is {i}." for i in range(3)]
    assert data.instructions[0].input == ""
    assert (data.source, data.hellaswag, data.mmlu) == ("file", (), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"instruction": "a", "output": "b"}\n', "expected at least two instructions"),
        ('{"instruction": "a"}\n', r"line 1: expected a text as 'output', got no such field"),
        ("[1]\n", "line 1: expected a JSON object"),
    ],
)
def test_a_faulty_file_of_instructions_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "mine.jsonl").write_text(text)
    with pytest.raises(ValueError, match=expected):
        load(str(tmp_path / "mine.jsonl"))


def test_an_own_model_is_tuned_on_own_data(tmp_path: Path) -> None:
    _llama(tmp_path / "mine")
    data = _instructions(tmp_path / "mine.jsonl")
    words = (f"objective.model={tmp_path / 'mine'}", f"objective.data={data}")
    objective = run_of("objective=lora_ft", *words, *SMALL).objective
    assert objective.default is not None
    first = objective.evaluate(Trial(0, dict(objective.default)))
    assert first.error is None and first.value is not None
    # A random model of 257 bytes gives each about the same probability: ln 257 = 5.55 nats.
    assert first.value == pytest.approx(5.55, abs=0.3)
    assert set(objective.test(Trial(0, dict(objective.default)))) == {"test_loss"}
    with pytest.raises(InstantiationException, match="expected heldout_loss, as .*jsonl"):
        run_of("objective=lora_ft", *words, *SMALL, "objective.target=accuracy")


@pytest.mark.slow
def test_the_default_model_survives_the_way_to_a_hugging_face_folder_and_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("gguf")
    monkeypatch.delenv("TUNEOFF_CACHE")
    from objectives.serving.engines.hf_folder import hf_folder

    found = find(str(hf_folder()))
    weights = torch.load(found.folder() / "lit_model.pth", mmap=True)
    before = torch.load(find("SmolLM2-135M-Instruct").folder() / "lit_model.pth", mmap=True)
    assert weights.keys() == before.keys()
    for name, tensor in weights.items():  # the folder holds bfloat16
        torch.testing.assert_close(tensor.float(), before[name].bfloat16().float())
