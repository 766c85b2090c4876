"""Our scorer agrees with lm-evaluation-harness: the same tasks, items and model, item by item."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import pytest
import torch
from litgpt.lora import GPT
from lm_eval.api.model import TemplateLM
from tokenizers import Tokenizer

from objectives import checkpoint
from objectives.lora_ft import scoring
from objectives.lora_ft.data import SHIPPED, Question, read_folder, subset
from objectives.lora_ft.encoding import Encoder
from objectives.lora_ft.model import Adapters, BaseModel
from objectives.lora_ft.settings import MATRICES
from objectives.lora_ft.team import team

CPU = torch.device("cpu")
N_ITEMS = 8


def harness(model: GPT | None, folder: Path) -> TemplateLM:
    """Wrap LitGPT's own forward pass, one request at a time and no context shared."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def encode(_: Any, text: str, **__: Any) -> list[int]:
        tokens: list[int] = tokenizer.encode(text).ids
        return tokens

    def log_likelihoods(
        _: Any, requests: Sequence[tuple[Any, list[int], list[int]]], **__: Any
    ) -> list[tuple[float, bool]]:
        answers = []
        with torch.inference_mode():
            for _names, context, continuation in requests:
                assert model is not None
                logits = model(torch.tensor([(context + continuation)[:-1]]))[0]
                own = logits[-len(continuation) :].float().log_softmax(-1)
                total = own.gather(1, torch.tensor(continuation)[:, None]).sum()
                answers.append((float(total), False))
        return answers

    methods = {
        "eot_token_id": 0,
        "tok_encode": encode,
        "_loglikelihood_tokens": log_likelihoods,
        "loglikelihood_rolling": None,
        "generate_until": None,
    }
    return type("Harness", (TemplateLM,), methods)()


@pytest.fixture(scope="module")
def folder() -> Path:
    return checkpoint.find(checkpoint.SMOLLM2).folder()


@pytest.fixture(scope="module")
def model(folder: Path) -> GPT:
    """Adapters on every matrix, with B as if it had been trained."""
    torch.manual_seed(0)
    adapters = Adapters(rank=8, alpha=16, dropout=0.1, matrices=MATRICES, seed=0)
    built = BaseModel(folder, CPU, "fp32").adapted(adapters)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if name.endswith("lora_B"):
                parameter.normal_(std=0.01, generator=generator)
    built.eval()
    return built


@pytest.fixture(scope="module")
def questions() -> tuple[Question, ...]:
    return subset(read_folder(SHIPPED, "shipped").hellaswag, N_ITEMS, seed=0)


@pytest.fixture(scope="module")
def sums(folder: Path, model: GPT, questions: tuple[Question, ...]) -> scoring.Floats:
    encoder = Encoder(folder, 2048, 128, mask_prompt=True)
    with team(2, CPU) as workers:
        return scoring.branch_sums(workers, model, [encoder.question(q) for q in questions])


@pytest.fixture(scope="module")
def samples(
    folder: Path,
    model: GPT,
    questions: tuple[Question, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[dict[str, Any]]:
    """The result of the harness's stock task `hellaswag` for each item, on local rows."""
    place = tmp_path_factory.mktemp("harness")
    lines = (SHIPPED / "hellaswag_form.jsonl").read_text().splitlines()
    every = read_folder(SHIPPED, "shipped").hellaswag
    chosen = [line for line, q in zip(lines, every, strict=True) if q in questions]
    data = place / "Rowan" / "hellaswag"
    data.mkdir(parents=True)
    for split in ("train", "validation"):
        (data / f"{split}.jsonl").write_text("\n".join(chosen) + "\n")
    with pytest.MonkeyPatch.context() as patch, team(1, CPU):  # one thread of torch's own
        patch.chdir(place)
        answer = lm_eval.simple_evaluate(
            harness(model, folder), tasks=["hellaswag"], bootstrap_iters=0, log_samples=True
        )
    found: list[dict[str, Any]] = sorted(answer["samples"]["hellaswag"], key=lambda s: s["doc_id"])
    return found


def test_log_likelihoods_equal_the_harness_s(
    sums: scoring.Floats, samples: list[dict[str, Any]]
) -> None:
    theirs = [float(answer[0][0]) for s in samples for answer in s["resps"]]
    # float32 through 30 layers, in another order of summation.
    np.testing.assert_allclose(sums, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("query", "choice"),
    [
        ("The cat sat ", "in"),
        ("Answer:\n", "A"),
        ("How to plant: Dig a hole. Take a spade. ", "dig deep ."),
        ("Tab\t \n", " twice"),
        ("The cat sat", " in"),
        ("Café", "é"),
    ],
)
def test_white_space_at_a_query_s_end_goes_where_the_harness_puts_it(
    folder: Path, query: str, choice: str
) -> None:
    context, continuation = harness(None, folder)._encode_pair(query, " " + choice)
    encoded = Encoder(folder, 2048, 128, True).question(Question(query, (choice,), 0, "s"))
    assert (encoded.context, encoded.branches) == (context, [continuation])


@pytest.mark.parametrize("query", ["", " \n"])
def test_a_question_without_a_query_is_refused(folder: Path, query: str) -> None:
    with pytest.raises(ValueError, match="question: expected a query"):
        Encoder(folder, 2048, 128, True).question(Question(query, ("a",), 0, "s"))


@pytest.mark.parametrize(("metric", "ours"), [("acc", "right"), ("acc_norm", "right_norm")])
def test_every_item_is_judged_as_the_harness_judges_it(
    metric: str,
    ours: str,
    sums: scoring.Floats,
    questions: tuple[Question, ...],
    samples: list[dict[str, Any]],
) -> None:
    judged = getattr(scoring.outcomes(questions, sums), ours)
    assert judged.tolist() == [bool(sample[metric]) for sample in samples]


def test_the_probability_of_the_right_choice_is_a_softmax_of_normalised_likelihoods() -> None:
    question = Question("q", ("ab", "abcd"), gold=1, stratum="s")
    # -2/2 = -1 and -8/4 = -2: e^-2 / (e^-1 + e^-2) = 1 / (1 + e).
    judged = scoring.outcomes([question], np.array([-2.0, -8.0]))
    assert judged.p_right[0] == pytest.approx(1 / (1 + math.e))


def test_outcomes_survive_packing() -> None:
    right = np.array([True, False, False, True, True, False, True, True, True, False])
    assert scoring.unpack_bits(scoring.pack_bits(right), 10).tolist() == right.tolist()
    shares = np.array([0.25, 0.5, 0.125])
    assert scoring.unpack_floats(scoring.pack_floats(shares)).tolist() == shares.tolist()


def test_the_tokenizer_reads_digits_one_by_one_and_gives_the_text_back(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = "In 1984, Ada's naïve  code\nprinted 3.14!"
    encoded = tokenizer.encode(text)
    assert tokenizer.decode(encoded.ids) == text
    assert [token for token in encoded.tokens if token.isdigit()] == list("1984314")
    assert json.loads((folder / "tokenizer.json").read_text())["model"]["type"] == "BPE"
