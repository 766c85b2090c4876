"""The data of LoRA fine-tuning: the common format, the harness's queries, and named mistakes."""

import gzip
import importlib
import json
import os
import runpy
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import lm_eval.tasks
import pytest
from lm_eval.utils import apply_template
from omegaconf import OmegaConf

from objectives.lora_ft import data, hub_data
from objectives.lora_ft.data import Question

TASKS = Path(lm_eval.tasks.__file__).parent
SHIPPED_FILES = ("alpaca_form.jsonl", "hellaswag_form.jsonl", "mmlu_test_form.jsonl")
ALPACA_ROW: dict[str, object] = {"instruction": "Name a colour.", "input": "", "output": "Red."}
HELLASWAG_ROW: dict[str, object] = {  # in the hub's form: raw text, the label in quotes
    "activity_label": "Home and Garden",
    "ctx_a": "[header] How to oil a hinge [title] Find the  hinge. [step] It is on the door.",
    "ctx_b": "the DOOR",
    "endings": [" creaks.", "Oil  it. [substeps] Wait [title] Wipe.", "sings [loudly].", "flies."],
    "source_id": "wikihow~12",
    "label": "1",
}
MMLU_ROW: dict[str, object] = {
    "question": " What is 2 + 2?\n",
    "subject": "elementary_mathematics",
    "choices": ["3", " 4", "5", "6"],
    "answer": 1,
}
Rows = dict[str, list[dict[str, object]]]


class OneRow:
    """As much of a `datasets.Dataset` as the harness's `process_docs` uses."""

    def __init__(self, row: dict[str, object]) -> None:
        self.row = row

    def map(self, function: Callable[[dict[str, object]], dict[str, object]]) -> dict[str, object]:
        return function(self.row)


@pytest.fixture
def rows() -> Rows:
    return {
        "alpaca.jsonl": [dict(ALPACA_ROW)],
        "hellaswag.jsonl": [dict(HELLASWAG_ROW)],
        "mmlu_test.jsonl": [dict(MMLU_ROW)],
    }


def write(folder: Path, rows: Rows) -> Path:
    folder.mkdir(exist_ok=True)
    for name, listed in rows.items():
        content = "".join(json.dumps(row) + "\n" for row in listed).encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def shipped_rows(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (data.SHIPPED / name).read_text().splitlines()]


def as_the_harness_prepares(row: dict[str, object]) -> dict[str, object]:
    harness = importlib.import_module("lm_eval.tasks.hellaswag.utils")
    prepared: dict[str, object] = harness.process_docs(OneRow(row))
    return prepared


def as_the_harness_asks(row: dict[str, object]) -> str:
    folder = TASKS / "mmlu" / "default"
    template = OmegaConf.load(folder / "_default_template_yaml").doc_to_text
    subject = OmegaConf.load(folder / f"mmlu_{row['subject']}.yaml")
    return str(subject.description + apply_template(template, row))


def test_hellaswag_is_prepared_as_the_harness_prepares_it(tmp_path: Path, rows: Rows) -> None:
    rows["hellaswag.jsonl"] += shipped_rows("hellaswag_form.jsonl")
    ours = data.load(str(write(tmp_path, rows))).hellaswag
    theirs = [as_the_harness_prepares(row) for row in rows["hellaswag.jsonl"]]
    assert [q.query for q in ours] == [doc["query"] for doc in theirs]
    assert [list(q.choices) for q in ours] == [doc["choices"] for doc in theirs]
    assert [q.gold for q in ours] == [doc["gold"] for doc in theirs]


def test_mmlu_is_asked_as_the_harness_asks_in_every_subject(tmp_path: Path, rows: Rows) -> None:
    subjects = [p.stem for p in (TASKS / "mmlu" / "default").glob("mmlu_*.yaml")]
    rows["mmlu_test.jsonl"] = [MMLU_ROW | {"subject": s.removeprefix("mmlu_")} for s in subjects]
    ours = data.load(str(write(tmp_path, rows))).mmlu
    assert len(ours) == 57
    assert [q.query for q in ours] == [as_the_harness_asks(r) for r in rows["mmlu_test.jsonl"]]


def test_raw_and_clean_text_give_the_same_data(tmp_path: Path, rows: Rows) -> None:
    raw = data.load(str(write(tmp_path / "raw", rows)))
    rows["hellaswag.jsonl"][0] |= {
        "ctx_a": "How to oil a hinge. Find the hinge. It is on the door.",
        "endings": ["creaks.", "Oil it. Wait. Wipe.", "sings .", "flies."],
        "label": 1,
    }
    clean = data.load(str(write(tmp_path / "clean", rows)))
    assert raw == clean


def test_the_strata_of_hellaswag_are_its_two_origins(tmp_path: Path, rows: Rows) -> None:
    rows["hellaswag.jsonl"].append(HELLASWAG_ROW | {"source_id": "activitynet~v_-1IBHYS3L-Y"})
    loaded = data.load(str(write(tmp_path, rows)))
    assert [q.stratum for q in loaded.hellaswag] == ["WikiHow", "ActivityNet"]


def test_the_digest_is_of_the_content_and_not_of_the_files(tmp_path: Path, rows: Rows) -> None:
    plain = data.load(str(write(tmp_path / "plain", rows)))
    zipped = {f"{name.removesuffix('.jsonl')}_7.jsonl.gz": listed for name, listed in rows.items()}
    assert data.load(str(write(tmp_path / "zipped", zipped))) == plain


@pytest.mark.parametrize(
    ("name", "field", "changed"),
    [
        ("alpaca.jsonl", "output", "Blue."),
        ("hellaswag.jsonl", "label", "2"),
        ("mmlu_test.jsonl", "answer", 0),
    ],
)
def test_the_digest_changes_with_any_item(
    tmp_path: Path, rows: Rows, name: str, field: str, changed: object
) -> None:
    before = data.load(str(write(tmp_path / "before", rows)))
    rows[name][0][field] = changed
    assert data.load(str(write(tmp_path / "after", rows))).digest != before.digest


@pytest.mark.parametrize(
    ("name", "field", "bad"),
    [
        ("alpaca.jsonl", "output", None),
        ("hellaswag.jsonl", "endings", ["one", "two", "three"]),
        ("hellaswag.jsonl", "label", ""),
        ("hellaswag.jsonl", "label", True),
        ("mmlu_test.jsonl", "answer", 4),
        ("mmlu_test.jsonl", "choices", "ABCD"),
    ],
)
def test_a_malformed_row_is_named_by_file_line_and_field(
    tmp_path: Path, rows: Rows, name: str, field: str, bad: object
) -> None:
    rows[name].append(rows[name][0] | {field: bad})
    write(tmp_path, rows)
    with pytest.raises(ValueError, match=f"{name} line 2: expected .*'{field}', got ") as error:
        data.load(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        *('{"instruction": ', "[1, 2]", "", "[" * 100_000),
        '{"instruction": "\\ud800", "input": "", "output": "x"}',
    ],
)
def test_a_line_that_is_no_json_object_is_named(tmp_path: Path, rows: Rows, line: str) -> None:
    write(tmp_path, rows)
    with (tmp_path / "alpaca.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"alpaca\.jsonl line 2: expected .*JSON"):
        data.load(str(tmp_path))


def test_a_byte_order_mark_is_read_and_a_pipe_is_named(tmp_path: Path, rows: Rows) -> None:
    path = write(tmp_path, rows) / "alpaca.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(data.load(str(tmp_path)).instructions) == len(rows["alpaca.jsonl"])
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"alpaca\.jsonl: expected .* got a pipe"):
        data.load(str(tmp_path))


def test_a_cut_gzip_file_is_named(tmp_path: Path, rows: Rows) -> None:
    rows["alpaca.jsonl.gz"] = rows.pop("alpaca.jsonl")
    path = write(tmp_path, rows) / "alpaca.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"alpaca\.jsonl\.gz: expected readable JSON lines"):
        data.load(str(tmp_path))


def test_auto_takes_the_folder_that_the_environment_names(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEOFF_DATA", str(write(tmp_path, rows)))
    loaded = data.load("auto")
    assert (loaded.source, len(loaded.instructions)) == ("folder", 1)


def test_auto_refuses_an_incomplete_folder_rather_than_use_other_data(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    del rows["hellaswag.jsonl"]
    monkeypatch.setenv("TUNEOFF_DATA", str(write(tmp_path, rows)))
    with pytest.raises(ValueError, match=r"hellaswag\*\.jsonl\[\.gz\]: expected exactly one"):
        data.load("auto")


def test_auto_without_folder_and_network_is_what_is_shipped_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TUNEOFF_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for variable in ("TUNEOFF_CACHE", "HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path))
    loaded = data.load("auto")
    assert loaded == data.load("shipped")
    assert capfd.readouterr() == ("", "")


def test_auto_takes_what_was_fetched_from_the_hub_before(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNEOFF_DATA", raising=False)
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    write(tmp_path / "hub_data-1", rows)
    assert data.load("auto").source == "hub"


def test_an_unreachable_hub_is_found_out_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port, which refuses
    for variable in ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(hub_data.Unavailable, match="no answer from the hub"):
        hub_data.folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="expected one of auto, folder, hub, shipped .*'hubb'"):
        data.load("hubb")


def questions(**sizes: int) -> list[Question]:
    return [
        Question(f"{stratum} {i}", ("a", "b", "c", "d"), 0, stratum)
        for stratum, size in sizes.items()
        for i in range(size)
    ]


def test_a_subset_holds_each_stratum_in_proportion() -> None:
    # 10 of 100 at 67, 22, 11: quotas 6.7, 2.2, 1.1; whole parts 6, 2, 1; the one left goes to 0.7.
    drawn = data.subset(questions(a=67, b=22, c=11), 10, seed=0)
    assert Counter(q.stratum for q in drawn) == {"a": 7, "b": 2, "c": 1}


def test_a_subset_is_fixed_by_its_seed_and_keeps_the_order() -> None:
    everything = questions(a=60, b=40)
    drawn = data.subset(everything, 20, seed=3)
    places = [everything.index(question) for question in drawn]
    assert drawn == data.subset(everything, 20, seed=3)
    assert drawn != data.subset(everything, 20, seed=4)
    assert places == sorted(set(places))


def test_every_question_is_drawn_equally_often() -> None:
    # 4 of 10 over 1000 seeds: 400 each, with standard deviation sqrt(1000 * 0.4 * 0.6) = 15.5; the
    # tolerance is 5 of them.
    drawn = Counter(
        q.query for seed in range(1000) for q in data.subset(questions(a=5, b=5), 4, seed)
    )
    assert len(drawn) == 10
    assert all(abs(count - 400) < 78 for count in drawn.values())


@pytest.mark.parametrize("n", [None, 3, 99])
def test_a_subset_no_smaller_than_the_whole_is_the_whole(n: int | None) -> None:
    assert data.subset(questions(a=2, b=1), n, seed=0) == tuple(questions(a=2, b=1))


def test_a_subset_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a positive number of questions, got 0"):
        data.subset(questions(a=2), 0, seed=0)


def test_the_generator_writes_the_shipped_files_again_byte_by_byte() -> None:
    made = runpy.run_path(str(data.SHIPPED / "generate.py"))["files"]()
    assert made == {name: (data.SHIPPED / name).read_bytes().decode() for name in SHIPPED_FILES}


def test_the_shipped_questions_have_four_different_choices_and_are_asked_once() -> None:
    shipped = data.load("shipped")
    asked = [(q.query, frozenset(q.choices)) for q in shipped.hellaswag]
    assert len(set(asked)) == len(asked)
    assert all(len(choices) == 4 for _, choices in asked)
    assert len({q.query for q in shipped.mmlu}) == len(shipped.mmlu)
    answers = [row["choices"] for row in shipped_rows("mmlu_test_form.jsonl")]
    assert all(isinstance(listed, list) and len(set(listed)) == 4 for listed in answers)


def test_no_shipped_instruction_gives_a_question_away_verbatim() -> None:
    shipped = data.load("shipped")
    trained = {f"{i.input} {i.output}" for i in shipped.instructions}
    assert not any(f"{q.query} {q.choices[q.gold]}" in trained for q in shipped.hellaswag)


def test_right_endings_stand_at_each_place_about_equally_often() -> None:
    places = Counter(q.gold for q in data.load("shipped").hellaswag)
    # 464 questions: 116 per position, with standard deviation sqrt(464 * 0.25 * 0.75) = 9.3; the
    # tolerance is 4 of them.
    assert all(abs(places[place] - 116) < 38 for place in range(4))


def test_the_shipped_files_stay_small() -> None:
    assert sum((data.SHIPPED / name).stat().st_size for name in SHIPPED_FILES) < 500_000


def test_reading_data_imports_neither_torch_nor_datasets() -> None:
    code = (
        "import sys; from objectives.lora_ft import data; data.load('shipped'); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'datasets')))"
    )
    root = str(Path(__file__).parent.parent)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=dict(os.environ))
