"""The load of a serving objective: lengths, arrivals, traces."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectives.serving.load.arrivals import plan
from objectives.serving.load.lengths import parse
from objectives.serving.load.traces import read_trace

POISSON = {
    "arrivals": "poisson",
    "rate_per_s": 1.5,
    "requests": 20,
    "lengths": "D(124,32)",
    "shared_prefix": 64,
}


def drawn(text: str, n: int = 2000) -> Any:
    return parse(text).draw(n, np.random.default_rng(0))


def test_fixed_lengths_are_the_same_for_every_request() -> None:
    assert (drawn("D(124,32)") == [124, 32]).all()
    assert parse("D(124,32)").largest == (124, 32)


def test_uniform_lengths_include_both_ends() -> None:
    tokens = drawn("U(3,5)/(1,2)")
    assert set(tokens[:, 0]) == {3, 4, 5} and set(tokens[:, 1]) == {1, 2}
    assert parse("U(3,5)/(1,2)").largest == (5, 2)


def test_normal_lengths_have_their_mean_and_a_known_largest() -> None:
    tokens = drawn("N(100,10)/(8, 4)")
    # The mean of 2,000 draws has the standard deviation 10/sqrt(2000) = 0.22: five of them.
    assert tokens[:, 0].mean() == pytest.approx(100, abs=1.2)
    assert tokens.min() >= 1
    assert (tokens.max(axis=0) <= [130, 20]).all()  # mean + 3 sd
    assert parse("N(100,10)/(8, 4)").largest == (130, 20)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "D(1)",
        "D(0,5)",
        "D(1.5,2)",
        "U(5,3)/(1,2)",
        "U(1,2)",
        "N(5,1)",
        "X(1,2)",
        "N(0,1)/(2,1)",
    ],
)
def test_a_length_out_of_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="objective.load.lengths: expected .*, got"):
        parse(text)


def test_a_closed_loop_has_no_arrivals_and_an_open_one_no_concurrency() -> None:
    closed = plan({**POISSON, "arrivals": "closed", "concurrency": 8}, seed=0)
    assert (closed.arrivals_s, closed.concurrency, len(closed)) == (None, 8, 20)
    poisson = plan(POISSON, seed=0)
    assert poisson.arrivals_s is not None and poisson.concurrency is None
    assert poisson.arrivals_s[0] == 0 and (np.diff(poisson.arrivals_s) > 0).all()


def test_poisson_arrivals_come_at_their_rate_with_exponential_gaps() -> None:
    arrivals = plan({**POISSON, "requests": 4000}, seed=1).arrivals_s
    assert arrivals is not None
    gaps = np.diff(arrivals)
    # Mean and standard deviation of an exponential are 1/rate = 2/3; five standard errors.
    assert gaps.mean() == pytest.approx(2 / 3, abs=5 * (2 / 3) / np.sqrt(4000))
    assert gaps.std() == pytest.approx(2 / 3, rel=0.1)


def test_the_same_seed_gives_the_same_load_and_another_seed_another() -> None:
    loads = [plan({**POISSON, "lengths": "U(1,500)/(1,500)"}, seed) for seed in (3, 3, 4)]
    assert (loads[0].prompt_tokens == loads[1].prompt_tokens).all()
    assert (loads[0].prompt_tokens != loads[2].prompt_tokens).any()


def test_a_load_of_lower_fidelity_is_the_beginning_of_the_full_one() -> None:
    full = plan({**POISSON, "lengths": "U(1,500)/(1,500)"}, seed=3)
    part = full.first(5)
    assert len(part) == 5 and part.arrivals_s is not None and full.arrivals_s is not None
    assert (part.arrivals_s == full.arrivals_s[:5]).all()
    assert (part.answer_tokens == full.answer_tokens[:5]).all()


def test_a_trace_gives_scaled_times_and_lengths(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n2,100,10\n4,50,0\n5,8,2\n")
    load = {
        "arrivals": "trace",
        "trace": str(path),
        "requests": 2,
        "time_scale": 0.5,
        "token_scale": 0.1,
        "shared_prefix": 0,
    }
    traced = plan(load, seed=0)
    assert traced.arrivals_s is not None
    assert traced.arrivals_s.tolist() == [0.0, 1.0]  # (4 - 2) / 2
    assert traced.prompt_tokens.tolist() == [10, 5]
    assert traced.answer_tokens.tolist() == [1, 1]  # at least one
    assert traced.largest == 11
    with pytest.raises(ValueError, match="requests: expected at most 3"):
        plan({**load, "requests": 4}, seed=0)


def test_a_damaged_trace_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n2,100,10\n1,50,5\n")
    with pytest.raises(ValueError, match="trace.csv:3: expected arrivals that do not fall"):
        read_trace(path)


OURS = "arrived_at,num_prefill_tokens,num_decode_tokens\n"
SAME = {
    "as processed": OURS + "0.0,374,44\n4.25,396,109\n",
    "with a byte order mark": "\ufeff" + OURS + "0.0,374,44\n4.25,396,109\n",
    "with empty lines": OURS + "\n0.0,374,44\n\n4.25,396,109\n\n",
    "with Windows's line ends": (OURS + "0.0,374,44\n4.25,396,109\n").replace("\n", "\r\n"),
    "in quotes": OURS.replace("arrived_at", '"arrived_at"') + '0.0,"374",44\n"4.25",396,109\n',
    "in another order": "num_decode_tokens,arrived_at,num_prefill_tokens\n44,0,374\n109,4.25,396\n",
    "with pandas's index": "," + OURS + "0,0.0,374,44\n1,4.25,396,109\n",
    "with other columns": OURS.strip() + ",model\n0.0,374,44,a\n4.25,396,109,b\n",
    "with blanks": OURS.replace(",", " , ") + " 0.0, 374 ,44\n4.25,396, 109\n",
    "Azure's own": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9305900,396,109\n"
    ),
    "Azure's own of 2024": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-05-10 00:00:00.009930+00:00,374,44\n2024-05-10 00:00:04.259930+00:00,396,109\n"
    ),
    "BurstGPT's": (
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,374,44,418,Conversation log\n9.25,GPT-4,396,109,505,API log\n"
    ),
    "JSON lines": (
        '{"timestamp": 3, "input_length": 374, "output_length": 44, "hash_ids": [1, 2]}\n'
        '\n{"output_length": 109, "timestamp": 7.25, "input_length": 396}\n'
    ),
    "JSON lines with dates": (
        '\ufeff{"timestamp": "2024-05-10T00:00:00Z", "input_length": 374, "output_length": 44}\n'
        '{"timestamp": "2024-05-10T00:00:04.25Z", "input_length": 396, "output_length": 109}'
    ),
}


def _traced(path: Path, **settings: Any) -> dict[str, Any]:
    return {
        "arrivals": "trace",
        "trace": str(path),
        "requests": 2,
        "time_scale": 1.0,
        "token_scale": 1.0,
        "shared_prefix": 0,
        **settings,
    }


@pytest.mark.parametrize("form", SAME)
def test_a_trace_is_read_in_every_form_that_is_about(form: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(SAME[form], encoding="utf-8", newline="")
    read = plan(_traced(path), seed=0)
    assert read.prompt_tokens.tolist() == [374, 396]
    assert read.answer_tokens.tolist() == [44, 109]
    assert read.arrivals_s is not None and read.arrivals_s == pytest.approx([0.0, 4.25], abs=1e-6)


JSON = '{"timestamp": 0, "input_length": 3, "output_length": 4}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OURS + "0.0,inf,44\n", r"trace:2: expected a time in s, or a date, and two numbers"),
        (OURS + "0.0,nan,44\n", r"trace:2: expected a time in s"),
        (OURS + "0.0,3,4\n1.0,1e18,44\n", r"trace:3: expected lengths of 0 to 1000000, got 1.0"),
        (OURS + "0.0,3,1e400\n", r"trace:2: expected a time in s"),
        (OURS + "0.0,-3,4\n", r"trace:2: expected lengths of 0 to 1000000"),
        (OURS + "inf,3,4\n", r"trace:2: expected a time in s"),
        (OURS + "0.0,,4\n", r"trace:2: expected a time in s"),
        (OURS + '0.0,"1,000",4\n', r"trace:2: expected a time in s"),
        (OURS + "yesterday,3,4\n", r"trace:2: expected a time in s"),
        (OURS + "0.0,3\n", r"row 1 \(line 2\): expected 3 cells, got 2"),
        (OURS + "5,3,4\n4,3,4\n", r"trace:3: expected arrivals that do not fall, got 4,3,4"),
        (OURS, r"trace: expected at least one row, got none"),
        ("", r"trace: expected at least one row, got none"),
        (
            "a,b,c\n1,2,3\n",
            r"trace:1: expected the columns .*TIMESTAMP.* JSON lines .*got \['a'",
        ),
        (
            OURS.replace("\n", ",arrived_at\n") + "0,3,4,0\n",
            r"trace:1: expected one column arr",
        ),
        (JSON + '{"timestamp": 1}\n', r"trace:2: expected an object with \['timestamp', .*\], got"),
        (JSON + "[1, 2, 3]\n", r"trace:2: expected an object with"),
        (JSON + '{"timestamp": 1,\n', r"trace:2: expected a JSON object, got"),
        (JSON.replace("3", "Infinity"), r"trace:1: expected lengths of 0 to 1000000"),
        (JSON.replace("3", "NaN"), r"trace:1: expected lengths of 0 to 1000000"),
        (JSON.replace("3", "9" * 400), r"trace:1: expected a time in s"),
        (JSON.replace("3", "true"), r"trace:1: expected a time in s"),
        (JSON.replace("3", '"3"'), r"trace:1: expected a time in s"),
        (JSON.replace("0", "1e999"), r"trace:1: expected arrivals that do not fall"),
    ],
)
def test_a_trace_that_cannot_be_is_refused_in_one_line(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as raised:
        read_trace(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n5,374,44\n2023-11-16 18:15:46,3,4\n",
            "seconds or dates in all rows",
        ),
        ('[{"timestamp": 0, "input_length": 1, "output_length": 5}]', "expected an object with"),
    ],
)
def test_a_trace_that_would_be_misread_is_refused(
    content: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "trace").write_text(content)
    with pytest.raises(ValueError, match=expected):
        read_trace(tmp_path / "trace")


def test_scales_that_lead_beyond_what_can_be_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(OURS + "0,30,4\n1e308,3,4\n")
    with pytest.raises(
        ValueError, match=r"objective\.load\.token_scale: .*below 1000000, got 1000000"
    ):
        plan(_traced(path, token_scale=1e6), seed=0)
    with pytest.raises(ValueError, match=r"objective\.load\.time_scale: .*finite, got 100"):
        plan(_traced(path, time_scale=100), seed=0)
    with pytest.raises(ValueError, match=r"objective\.load\.trace: expected one of"):
        plan(_traced(tmp_path), seed=0)


@pytest.mark.parametrize("text", ["D({0},1)", "N({0},1)/(1,1)", "N(1,{0})/(1,1)", "U(1,{0})/(1,2)"])
def test_a_length_beyond_any_context_is_refused(text: str) -> None:
    for digits in ("9" * 400, "1000001"):
        with pytest.raises(ValueError, match=r"objective\.load\.lengths: expected at most 1000000"):
            parse(text.format(digits))


def test_a_named_trace_is_looked_for_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = {**POISSON, "arrivals": "trace", "trace": "azure_2023_code"}
    load |= {"time_scale": 1.0, "token_scale": 1.0}
    monkeypatch.delenv("TUNEOFF_DATA", raising=False)
    with pytest.raises(ValueError, match="expected TUNEOFF_DATA to name the folder"):
        plan(load, seed=0)
    (tmp_path / "serving").mkdir()
    rows = "\n".join(f"{i},{i + 1},2" for i in range(20))
    header = "arrived_at,num_prefill_tokens,num_decode_tokens"
    (tmp_path / "serving" / "azure_2023_code.csv").write_text(f"{header}\n{rows}\n")
    monkeypatch.setitem(os.environ, "TUNEOFF_DATA", str(tmp_path))
    assert plan(load, seed=0).prompt_tokens.tolist() == list(range(1, 21))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arrivals": "burst"}, "arrivals: expected one of"),
        (
            {"requests": 0},
            "requests: expected an integer of at least 1 and at most 10000000, got 0",
        ),
        ({"rate_per_s": 0}, "rate_per_s: expected a finite number above 0, got 0"),
        ({"rate_per_s": None}, "rate_per_s: expected a value for poisson, got none"),
        ({"arrivals": "closed"}, "concurrency: expected a value for closed, got none"),
        ({"burst": 3}, "load: expected the keys .*, got burst"),
    ],
)
def test_a_load_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan({**POISSON, **change}, seed=0)
