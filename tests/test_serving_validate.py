"""The comparison with measured points, and the count of evaluations that are needed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from experiments.sweeping.evaluations_needed import line, random_line
from objectives.serving.simulator import sensitivity, validate, validate_batches, validate_cpu

ROW = {
    "id": "one",
    "silicon_data_source": "made up",
    "backend": "vllm",
    "backend_version": "0.14",
    "model_path": "meta-llama/Llama-3.1-70B",
    "system": "h100_sxm",
    "mode": "agg",
    "isl": "1024",
    "osl": "1024",
    "gemm_quant_mode": "fp8",
    "batch_size": "4",
    "tp_size": "8",
    "pp_size": "1",
    "attention_dp_size": "",
    "silicon_ttft_ms": "70",
    "silicon_tpot_ms": "9",
}


def table(tmp_path: Path, *rows: dict[str, str]) -> list[dict[str, str]]:
    """Return what validate writes about a file of some rows."""
    points, out = tmp_path / "points.csv", tmp_path / "table.csv"
    with points.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(ROW))
        writer.writeheader()
        writer.writerows(rows)
    assert validate.main([str(points), f"table={out}"]) == 0
    with out.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_known_point_is_compared(tmp_path: Path) -> None:
    found = [one for one in table(tmp_path, ROW) if one["model"] == "Llama-3.1-70B"]
    assert len(found) == 1 and found[0]["rows"] == "1"
    # The H100 node's measurements for answers of 1,024 tokens are 70 and 9.1 ms.
    assert 0.5 < float(found[0]["ttft_ratio"]) < 2
    assert 0.8 < float(found[0]["tpot_ratio"]) < 1.2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_path": "openai/gpt-oss-120b"}, "no card for the model"),
        ({"system": "mi300x"}, "no kernels for the system"),
        ({"backend": "mlc"}, "no kernels for the engine"),
        ({"gemm_quant_mode": "int4_wo"}, "no kernels for the number format"),
        ({"mode": "disagg", "batch_size": ""}, "disaggregated serving"),
        ({"batch_size": ""}, "batch_size is missing"),
        ({"isl": "many"}, "isl is no number"),
        ({"tp_size": "16"}, "16 GPUs"),
        ({"tp_size": "1", "gemm_quant_mode": ""}, "does not fit into the memory as simulated"),
    ],
)
def test_what_is_not_modelled_is_a_row_that_says_why(
    tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    (found,) = table(tmp_path, {**ROW, **change})
    assert found["note"] == f"not modelled: {reason}" and found["tpot_ratio"] == ""


def test_a_file_of_another_form_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    assert validate.main([str(path)]) == 2
    assert validate.main([str(tmp_path / "absent.csv")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "expected the columns" in lines[0]


def test_the_halves_part_the_rows() -> None:
    halves = [validate.half({"id": str(i)}) for i in range(1000)]
    assert 400 < halves.count("test") < 600
    assert set(halves) == {"test", "calibration"}


def test_the_cpu_sweeps_signs_and_order_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate_cpu.main([]) == 0
    found = [one for one in capsys.readouterr().out.splitlines() if "(all)" in one]
    assert [one.split("  rho ")[0].split("(all)")[1].split()[0] for one in found] == ["2", "6", "4"]
    assert all(float(one.split("rho ")[1]) > 0.7 for one in found)


def test_the_median_of_runs_that_did_not_come_near_is_beyond_the_budget() -> None:
    # The first run is near at its third evaluation, the others never.
    runs = [[3.0, 2.0, 1.0], [3.0, 3.0, 3.0], [3.0, 2.0, 2.0]]
    found = line("some", runs, 1.5, 3)
    assert found == ("some", 3, 3, 1, "> 3", "0.500")
    assert json.dumps(line("one", runs[:1], 1.5, 3)[4]) == '"3"'


def test_random_search_expects_the_first_of_k_at_the_k_plus_firsts() -> None:
    # Two good ones among five: (5 + 1)/(2 + 1) = 2.
    assert random_line(np.array([1.0, 5, 5, 1, 5]), 2.0)[4] == "2"


def test_batches_are_compared_by_card_gpus_and_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        "Hardware,Num of Hardware,Framework,Model,Input Output Length,Batch Size,Latency,x",
        "Nvidia A100 GPU,1,vLLM,meta-llama/Llama-2-7b-hf,128,1,1.65,155",
        "Nvidia A100 GPU,1,vLLM,meta-llama/Llama-2-70b-hf,128,1,1.65,155",
        "Nvidia A100 GPU,1,vLLM,somebody/unknown,128,1,1.65,155",
    ]
    file, table = tmp_path / "batches.csv", tmp_path / "table.csv"
    file.write_text("\n".join(rows))
    assert validate_batches.main([str(file), "half=all", f"table={table}"]) == 0
    (line,) = table.read_text().splitlines()[1:]
    card, gpus, batch, n, ratio, _, refused = line.split(",")
    assert (card, gpus, batch, n, refused) == ("Nvidia A100 GPU", "1", "1", "2", "1")
    assert 0.8 < float(ratio) < 1.25  # a 70B model does not fit on one GPU
    capsys.readouterr()


@pytest.mark.parametrize("words", [[], ["x.csv", "half=third"], ["x.csv", "more=1"], ["none.csv"]])
def test_wrong_words_to_the_batches_end_in_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate_batches.main(words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_sensitivity_changes_one_assumption_at_a_time(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    assert sensitivity.main(["configurations=12", f"table={table}"]) == 0
    lines = [line.split(",") for line in table.read_text().splitlines()]
    assert len(lines) == 1 + len(sensitivity.CHANGES)
    assert sensitivity.main(["configurations=few"]) == 2
