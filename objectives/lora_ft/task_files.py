"""Write the data in the formats that LitGPT and lm_eval read without a network.

    train.json, val.json                    instructions, for LitGPT's JSON data module
    Rowan/hellaswag/{train,validation}.jsonl, cais/mmlu/<subject>/{dev,test}.jsonl
                                            questions, which lm_eval's stock tasks find in their
                                            working directory before they ask the hub

The texts of the questions are those of `data.py`, which are already clean; lm_eval's own cleaning
does not change them. lm_eval requires few-shot examples to exist, although it uses none here.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from objectives.lora_ft.data import Instruction, Question

N_SUBJECTS = 57  # subjects of MMLU; lm_eval's `mmlu` needs a question of each
_LETTERS = "ABCD"
_Row = dict[str, object]


def instructions(
    folder: Path, training: Sequence[Instruction], held: Sequence[Instruction]
) -> None:
    """Write the instructions for training and for validation."""
    for name, items in (("train", training), ("val", held)):
        (folder / f"{name}.json").write_text(json.dumps([vars(item) for item in items]))


def hellaswag(folder: Path, questions: Sequence[Question]) -> None:
    """Write the questions of lm_eval's `hellaswag`."""
    rows: list[_Row] = []
    for question in questions:
        label, _, context = question.query.partition(": ")
        rows.append(
            {
                "activity_label": label,
                "ctx_a": context,
                "ctx_b": "",
                "endings": list(question.choices),
                "label": str(question.gold),
            }
        )
    place = folder / "Rowan" / "hellaswag"
    place.mkdir(parents=True)
    for split in ("train", "validation"):
        _write(place / f"{split}.jsonl", rows)


def mmlu(folder: Path, questions: Sequence[Question]) -> None:
    """Write the questions of lm_eval's `mmlu`, with one configuration per subject."""
    subjects: dict[str, list[_Row]] = defaultdict(list)
    for question in questions:
        subjects[question.stratum].append(_mmlu_row(question))
    place = folder / "cais" / "mmlu"
    lines = ["---", "configs:"]
    for subject, rows in sorted(subjects.items()):
        (place / subject).mkdir(parents=True)
        lines += [f"- config_name: {subject}", "  data_files:"]
        for split in ("dev", "test"):
            _write(place / subject / f"{split}.jsonl", rows)
            lines += [f"  - split: {split}", f"    path: {subject}/{split}.jsonl"]
    (place / "README.md").write_text("\n".join([*lines, "---", ""]))


def _mmlu_row(question: Question) -> _Row:
    """Split a query "<description>\n\n<question>\nA. <choice>\n...Answer:" into its parts.

    The parts yield the same query wherever it is split.
    """
    rest = question.query.partition("\n\n")[2].removesuffix("\nAnswer:")
    choices: list[str] = []
    for letter in reversed(_LETTERS):
        rest, _, choice = rest.rpartition(f"\n{letter}. ")
        choices.insert(0, choice)
    row: _Row = {"question": rest, "subject": question.stratum, "choices": choices}
    return {**row, "answer": question.gold}


def _write(path: Path, rows: Sequence[_Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
