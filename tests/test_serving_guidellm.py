"""The second load generator, guidellm, with a report in the form of guidellm 0.8.1.

guidellm itself needs a separate environment, so a substitute program replaces it here.
"""

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from objectives.serving.grades import Invalid
from objectives.serving.load.arrivals import plan
from objectives.serving.load.guidellm_load import GuideLlm
from objectives.serving.load.load_generator import Load
from objectives.serving.load.measures import measure
from stand_in import StandIn

LOAD = {
    "arrivals": "closed",
    "concurrency": 2,
    "rate_per_s": 2.0,
    "requests": 3,
    "lengths": "D(6,5)",
    "shared_prefix": 4,
}


def recorded(start: float, first: float, last: float, error: str | None = None) -> dict[str, Any]:
    """Return a request of a report with the fields that are read; times in s since 1970."""
    timings = {"targeted_start": start - 0.01, "request_start": start, "request_end": last}
    more = {"first_token_iteration": first, "last_token_iteration": last, "resolve_end": None}
    return {
        "info": {"timings": {**timings, **more}, "error": error},
        "input_metrics": {"text_tokens": 6},
        "output_metrics": {"text_tokens": 5},
    }


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    words = ["\u0120cat", "\u0120dog", "\u0120sun", "x", "\u0120A1"]
    vocabulary = {word: i for i, word in enumerate(words)}
    path.write_text(json.dumps({"model": {"vocab": vocabulary}}))
    return path


def generator(tmp_path: Path, tokenizer: Path, lines: str) -> GuideLlm:
    """Return the generator with a program in guidellm's place."""
    program = tmp_path / "guidellm"
    head = "import json, pathlib, sys\nspec = json.loads(pathlib.Path('spec.json').read_text())"
    program.write_text(f"#!{sys.executable}\n{head}['spec']\n{lines}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return GuideLlm(command=str(program), tokenizer=str(tokenizer))


def run(sender: GuideLlm, **changes: Any) -> Load:
    load = plan({**LOAD, **changes}, seed=0)
    return sender.run("http://x", StandIn(), load, seed=0, timeout_s=60, ended=lambda: None)


def reporting(tmp_path: Path) -> str:
    """Return lines that copy the request to `tmp_path` and write a report of two requests."""
    good, bad = recorded(100.0, 100.5, 102.5), recorded(101.0, 101.2, 101.4, "refused")
    report = {"benchmarks": [{"requests": {"successful": [good], "errored": [bad]}}]}
    return f"""
seen = dict(spec=spec, data=pathlib.Path('data.json').read_text())
pathlib.Path({str(tmp_path / "seen.json")!r}).write_text(json.dumps(seen))
pathlib.Path(spec['outputs'][0]['path']).write_text({json.dumps(report)!r})"""


def test_a_report_becomes_rows(tmp_path: Path, tokenizer: Path) -> None:
    load = run(generator(tmp_path, tokenizer, reporting(tmp_path)))
    assert load.unsent == 1
    assert load.requests.errors == ("", "refused")
    metrics = measure(load.requests, {})
    assert metrics["ttft_p50_s"] == pytest.approx(0.5)
    assert metrics["itl_p50_s"] == pytest.approx(0.5)  # 2 s between five tokens
    assert metrics["load_s"] == pytest.approx(2.5)


def test_in_an_open_loop_a_request_counts_from_when_it_was_due(
    tmp_path: Path, tokenizer: Path
) -> None:
    load = run(generator(tmp_path, tokenizer, reporting(tmp_path)), arrivals="poisson")
    assert load.late_s == pytest.approx(0.01)
    assert measure(load.requests, {})["ttft_p50_s"] == pytest.approx(0.51)


def test_guidellm_is_asked_for_the_plan_in_words_of_one_token(
    tmp_path: Path, tokenizer: Path
) -> None:
    run(generator(tmp_path, tokenizer, reporting(tmp_path)))
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["spec"]["profile"] == {"kind": "concurrent", "streams": [2]}
    rows = [json.loads(line) for line in seen["data"].split("\n")]
    assert [row["output_tokens_count"] for row in rows] == [5, 5, 5]
    words = [row["prompt"].split() for row in rows]
    assert [len(text) for text in words] == [6, 6, 6]
    assert {word for text in words for word in text} <= {"cat", "dog", "sun"}
    assert words[0][:4] == words[1][:4] == words[2][:4]


def test_a_guidellm_that_fails_is_not_the_configurations_fault(
    tmp_path: Path, tokenizer: Path
) -> None:
    with pytest.raises(Invalid, match="guidellm: no such option"):
        run(generator(tmp_path, tokenizer, "sys.exit('no such option')"))


def test_a_missing_guidellm_is_refused_in_one_line(tmp_path: Path, tokenizer: Path) -> None:
    with pytest.raises(ValueError, match="expected guidellm's program, got nowhere; install"):
        GuideLlm(command="nowhere", tokenizer=str(tokenizer))
