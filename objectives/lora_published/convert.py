"""Convert the study's original result files into the one CSV file that the project reads.

git clone https://github.com/Kiwy3/BO_PBO_HPO_LLM     (MIT)
cd BO_PBO_HPO_LLM/computation_experiments/results, then, from the project's folder:
python -m objectives.lora_published.convert model=Llama-3.2-1B LHS=lhs_bis.json \
    BO-GP=bo_bis.json SOO=soo_bis.json BaMSOO=bamsoo_bis.json out=llama_3_2_1b.csv

Every argument other than `model` and `out` is an algorithm and its file, in the order of the CSV. A
file has one JSON object per line:

    {"timing": {"opening_time", "end_training_time", "ending_time"},
     "solution": {"base_value": [rank, alpha, dropout, log10 rate, log10 decay],
                  "converted_values": [the same as they were run]},
     "score": {"hellaswag": {"acc,none", ...}, "mmlu": {...}}, or {"UCB", "LCB"},
     "info": {"depth", "depth_id", "loop", "score_state"}, or {"phase"}, or {}}

In an older form (the unpublished run with ranks up to 512), `end_training_time` is called
`starting_time`; it is the time at which scoring started. No number is rounded, and no row is
dropped.
"""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

COLUMNS = [
    *("model", "algorithm", "row", "eval_index", "state", "phase", "depth", "depth_id", "loop"),
    *("lora_rank", "lora_alpha", "lora_dropout", "log10_learning_rate", "log10_weight_decay"),
    *("lora_rank_used", "lora_alpha_used", "scale_alpha_over_r"),
    *("hellaswag_acc", "hellaswag_acc_stderr", "hellaswag_acc_norm"),
    *("mmlu_acc", "mmlu_acc_stderr", "ucb", "lcb", "time_start", "time_train_end", "time_end"),
]
_SCORES = {
    "hellaswag_acc": ("hellaswag", "acc,none"),
    "hellaswag_acc_stderr": ("hellaswag", "acc_stderr,none"),
    "hellaswag_acc_norm": ("hellaswag", "acc_norm,none"),
    "mmlu_acc": ("mmlu", "acc,none"),
    "mmlu_acc_stderr": ("mmlu", "acc_stderr,none"),
}


def convert(path: Path, model: str, algorithm: str) -> list[dict[str, Any]]:
    """Return the rows of one result file.

    Raises:
        ValueError: a line does not have the form above; the message names it.
        OSError: the file cannot be read.
    """
    rows: list[dict[str, Any]] = []
    n_evaluated = 0
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for number, line in enumerate(lines):
        try:
            row = _row(json.loads(line))
        except json.JSONDecodeError as error:
            reason = str(error)
            raise ValueError(f"{path}, line {number + 1}: expected JSON, got: {reason}") from None
        except (KeyError, TypeError, ValueError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(
                f"{path}, line {number + 1}: expected a result of the study, got {reason}"
            ) from None
        if row["state"] == "evaluated":
            n_evaluated += 1
            row["eval_index"] = float(n_evaluated)
        rows.append({"model": model, "algorithm": algorithm, "row": number, **row})
    return rows


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    info, score, timing = result["info"], result["score"], result["timing"]
    relaxed = [float(value) for value in result["solution"]["base_value"]]
    if len(relaxed) != 5:
        raise ValueError(f"{len(relaxed)} hyperparameters, where there should be 5")
    names = COLUMNS[COLUMNS.index("lora_rank") : COLUMNS.index("lora_rank_used")]
    rank, alpha = int(relaxed[0]), int(relaxed[1])  # truncated, as in the study
    used = [int(value) for value in result["solution"]["converted_values"][:2]]
    if used != [rank, alpha]:
        raise ValueError(f"{used} as used, where truncation gives {[rank, alpha]}")
    row: dict[str, Any] = {
        "state": info.get("score_state", "evaluated"),
        "phase": info.get("phase", ""),
        **{key: float(info[key]) for key in ("depth", "depth_id", "loop") if key in info},
        **dict(zip(names, relaxed, strict=True)),
        "lora_rank_used": rank,
        "lora_alpha_used": alpha,
        "scale_alpha_over_r": alpha / rank,
        "time_start": timing["opening_time"],
        "time_train_end": timing.get("end_training_time", timing.get("starting_time")),
        "time_end": timing["ending_time"],
    }
    if row["state"] == "approximated":
        return {**row, "ucb": float(score["UCB"]), "lcb": float(score["LCB"])}
    return {**row, **{name: float(score[task][key]) for name, (task, key) in _SCORES.items()}}


def write(rows: Sequence[Mapping[str, Any]], file: TextIO) -> None:
    """Write the CSV; missing values are empty cells."""
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def main(arguments: Sequence[str]) -> int:
    """Convert the files; return the exit status."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    try:
        model, out = given.pop("model", ""), given.pop("out", "")
        if not model or not out or not given or not all(given.values()):
            raise ValueError(
                f"convert: expected model=NAME ALGORITHM=FILE ... out=CSV, "
                f"got {' '.join(arguments) or 'nothing'}"
            )
        paths = {name: Path(path).expanduser() for name, path in given.items()}
        rows = [row for name, path in paths.items() for row in convert(path, model, name)]
        with Path(out).expanduser().open("w", newline="", encoding="utf-8") as file:
            write(rows, file)
    except OSError as error:
        print(f"{error.filename}: expected a file: {error.strerror}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(rows)} rows: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
