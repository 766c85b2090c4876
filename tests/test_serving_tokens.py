"""Tokens and their times in a stream, for any text and any number of tokens per chunk."""

import json
from typing import Any

import numpy as np
import pytest

from objectives.serving.load.exchange import Pieces, read
from objectives.serving.load.measures import measure, meets
from objectives.serving.load.tokens import Answer, read_answer, shared
from streams import GAP_S, Script, chunk, sent, spelled, usage


def answer(messages: list[dict[str, Any]], wanted: int = 10, gap_s: float = 1.0) -> Answer:
    """Read messages that came one gap apart, the first after one gap."""
    lines = [f"data: {json.dumps(message)}".encode() for message in messages] + [b"data: [DONE]"]
    return read_answer([(gap_s * (i + 1), line) for i, line in enumerate(lines)], wanted)


@pytest.mark.parametrize(
    "letters", ["TTTTTTTTTT", "EEETTTTTTT", "TTTTTEEEEE", "TTTEEEETTT", "E" * 10]
)
def test_times_do_not_depend_on_whether_a_token_has_text(letters: str) -> None:
    # Ten chunks, one every gap at the earliest: nine gaps, whatever the text.
    requests = sent(Script([*spelled(letters), usage(10)]), 10).requests
    metrics = measure(requests, {})
    assert metrics["failed_share"] == 0
    assert len(requests.gaps_s) == 9 and (requests.gaps_s > 0).all()
    assert metrics["ttft_p50_s"] >= GAP_S and metrics["e2e_p90_s"] >= 10 * GAP_S
    assert metrics["tpot_p90_s"] == pytest.approx(requests.gaps_s.mean())
    assert metrics["itl_p50_s"] == pytest.approx(np.median(requests.gaps_s))
    after_first = metrics["e2e_p90_s"] - metrics["ttft_p50_s"]
    assert after_first == pytest.approx(requests.gaps_s.sum())
    assert metrics["output_tokens_per_s"] == pytest.approx(10 / metrics["e2e_p90_s"])


@pytest.mark.parametrize(
    ("letters", "tokens", "last_s"),
    [
        ("TTTF", 3, 3),  # llama.cpp: the last chunk holds only the reason
        ("TTTG", 4, 4),  # vLLM: the reason comes with the last token
        ("TTTF", 4, 4),  # the last token may have no text
        ("EEEF", 4, 4),
        ("ETTT", 3, 4),  # a chunk that announces the answer is not a token
        ("TEEF", 3, 3),
    ],
)
def test_a_last_chunk_is_a_token_where_the_numbers_say_so(
    letters: str, tokens: int, last_s: float
) -> None:
    read_so = answer([*spelled(letters), usage(tokens)], tokens)
    assert (read_so.error, read_so.tokens, sum(read_so.counts)) == ("", tokens, tokens)
    assert read_so.came_s[-1] == last_s


@pytest.mark.parametrize(
    ("letters", "wanted", "tokens"), [("TTTF", 3, 3), ("TTTF", 4, 4), ("TT", 4, 2)]
)
def test_without_usage_a_chunk_is_a_token(letters: str, wanted: int, tokens: int) -> None:
    assert answer(spelled(letters), wanted).tokens == tokens


def test_a_chunk_of_three_tokens_is_three_tokens() -> None:
    # 12 tokens in 4 chunks: three gaps, each shared by the three tokens that it brought.
    requests = sent(Script([*spelled("TTTT"), usage(12)]), 12).requests
    by_chunk = requests.gaps_s.reshape(3, 3)
    assert (by_chunk == by_chunk[:, :1]).all()
    assert by_chunk.sum() == pytest.approx(float(requests.end_s[0] - requests.first_s[0]))


@pytest.mark.parametrize(
    "messages",
    [
        [chunk("a", usage={"completion_tokens": n}) for n in (1, 4, 6)] + [usage(6)],
        [chunk("a", token_ids=[7] * n) for n in (1, 3, 2)] + [usage(6)],
        [chunk("a", logprobs={"tokens": ["x"] * n}) for n in (1, 3, 2)] + [usage(6)],
        [chunk("", usage={"completion_tokens": n}) for n in (1, 4)]
        + [chunk("", finish_reason="length"), usage(6)],
    ],
)
def test_a_server_that_says_how_many_tokens_a_chunk_holds_is_believed(
    messages: list[dict[str, Any]],
) -> None:
    found = answer(messages, 6)
    assert (found.counts, found.tokens, found.error) == ([1, 3, 2], 6, "")


def test_a_last_chunk_that_brings_nothing_new_is_no_token_by_the_growth_of_usage() -> None:
    totals = [chunk("a", usage={"completion_tokens": n}) for n in (2, 4)]
    last = chunk("", finish_reason="length", usage={"completion_tokens": 4})
    found = answer([*totals, last, usage(4)], 4)
    assert (found.came_s, found.counts) == ([1.0, 2.0], [2, 2])


def test_fewer_chunks_than_tokens_share_them_and_time_tells_of_the_last() -> None:
    # Four chunks of three tokens; llama.cpp's last chunk comes with the token before it.
    lines = [(float(i), f"data: {json.dumps(chunk('a'))}".encode()) for i in (3, 6, 9, 12)]
    reason = f"data: {json.dumps(chunk('', finish_reason='length'))}".encode()
    ends = [(13.0, f"data: {json.dumps(usage(12))}".encode()), (13.0, b"data: [DONE]")]
    at_once = read_answer([*lines, (12.01, reason), *ends], 12)
    assert (at_once.came_s[-1], at_once.counts) == (12.0, [3, 3, 3, 3])
    later = read_answer([*lines[:-1], (12.0, reason), *ends], 12)
    assert (later.came_s[-1], later.counts) == (12.0, [3, 3, 3, 3])


def test_tokens_are_shared_evenly() -> None:
    assert shared(12, 4) == [3, 3, 3, 3]
    assert shared(10, 4) == [3, 2, 3, 2]
    assert shared(2, 4) == [1, 0, 1, 0]
    assert shared(0, 2) == [0, 0] and shared(5, 0) == []


@pytest.mark.parametrize("messages", [[], [usage(10)], [usage(0)], [*spelled("F"), usage(0)]])
def test_a_request_without_a_token_fails(messages: list[dict[str, Any]]) -> None:
    requests = sent(Script(messages, gap_s=0), 10).requests
    assert "expected tokens, got none" in requests.errors[0]
    metrics = measure(requests, {"ttft_p90_s": 1e9})
    assert (metrics["failed_share"], metrics["goodput_per_s"]) == (1, 0)


def test_a_missing_figure_never_meets_a_limit() -> None:
    nan, one = np.array([np.nan, 1.0]), np.array([1.0, 1.0])
    for name in ("ttft", "tpot", "e2e"):
        latencies = {"ttft": one, "tpot": one, "e2e": one, name: nan}
        assert meets(latencies, {f"{name}_p90_s": 2.0}).tolist() == [False, True]


def test_the_only_token_of_an_answer_exceeds_no_time_per_token() -> None:
    requests = sent(Script([*spelled("G"), usage(1)], gap_s=0), 1).requests
    assert measure(requests, {"tpot_p90_s": 1e-9})["goodput_per_s"] > 0
    assert measure(requests, {"ttft_p90_s": 1e-9})["goodput_per_s"] == 0


@pytest.mark.parametrize(("chunked", "stays_open"), [(False, False), (True, False), (True, True)])
def test_an_answer_is_whole_however_http_ends_it(chunked: bool, stays_open: bool) -> None:
    script = Script([*spelled("TTT"), usage(3)], 0.001, chunked, stays_open)
    assert sent(script, 3).requests.succeeded.all()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("error: out of slots", "out of slots"),
        ('data: {"error": {"message": "too long"}}', "too long"),
        ("data: {", "JSONDecodeError"),
        ("data: [1]", "expected an object in the stream, got [1]"),
    ],
)
def test_what_a_server_says_went_wrong_is_the_requests_error(line: str, expected: str) -> None:
    requests = sent(Script([line], gap_s=0), 3).requests
    assert expected in requests.errors[0] and requests.answer_tokens[0] == 0


def pieces(raw: bytes, *cuts: int) -> Pieces:
    """Return an answer in pieces with given ends, one piece per second."""
    places = [0, *cuts, len(raw)]
    return [
        (float(i), raw[first:last])
        for i, (first, last) in enumerate(zip(places, places[1:], strict=False))
    ]


def test_a_line_came_when_its_last_byte_did_wherever_the_network_cut_it() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"4\r\none\n\r\n3\r\ntwo\r\n2\r\n!\n\r\n0\r\n\r\n"
    raw = head + body
    end_of_one, end_of_two = raw.index(b"one\n") + 4, raw.index(b"!\n") + 2
    for cut in range(1, len(raw)):
        lines = read(pieces(raw, cut)).lines
        assert [line for _, line in lines] == [b"one", b"two!"]
        assert [came for came, _ in lines] == [float(end_of_one > cut), float(end_of_two > cut)]


@pytest.mark.parametrize("raw", [b"", b"hello", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 x\r\n\r\n"])
def test_what_is_no_http_is_said_so(raw: bytes) -> None:
    with pytest.raises(ValueError, match="expected an answer in HTTP, got"):
        read([(0.0, raw)])


ODD: list[Any] = [
    {"choices": "text"}, {"choices": ["text"]}, {"choices": {"text": "a"}}, {"choices": 1.5},
    {"choices": [], "usage": 5}, {"choices": [], "usage": []}, {"choices": [], "usage": {}, "x": 1},
    usage(-1), {"usage": {"completion_tokens": "3"}}, {"usage": {"completion_tokens": True}},
    {"usage": {"completion_tokens": 1e400}}, {"usage": {"completion_tokens": 10**30}},
    chunk("a", logprobs="none"), chunk("a", logprobs={"tokens": 3}), chunk("a", token_ids=7),
    chunk("a", token_ids={"0": 1}), None, 7, [], "text",
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_message_of_another_shape_fails_its_request_only(odd: Any) -> None:
    try:
        found = answer([chunk("a"), odd, chunk("a"), chunk("a")], wanted=3)
    except ValueError as error:
        assert "expected" in str(error) and ", got" in str(error)
    else:
        assert found.tokens == 3  # such as a usage that is empty


def test_json_that_is_nested_too_deeply_fails_its_request_only() -> None:
    with pytest.raises(ValueError, match="expected JSON in the stream"):
        read_answer([(1.0, b"data: " + b"[" * 100_000)], 1)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["event: error", 'data: {"message": "out of memory"}', "data: [DONE]"], "out of memory"),
        (['data: {"object": "error", "message": "too long"}', "data: [DONE]"], "too long"),
        (['data: {"error": {"message": "it broke"}}', "data: [DONE]"], "it broke"),
        (['{"detail": "no such model"}'], "no such model"),
    ],
)
def test_an_error_in_the_stream_is_the_reason(lines: list[str], reason: str) -> None:
    whole = [(1.0, line.encode()) for line in lines]
    assert reason in read_answer(whole, 1).error


def test_what_surrounds_the_messages_is_no_matter() -> None:
    first = b"\xef\xbb\xbfdata:" + json.dumps(chunk("a")).encode()
    rest = [b": keep-alive", b"", b"event: message", b"retry: 5", b"id: 1"]
    lines = [first, *rest, b"data: " + json.dumps(chunk("b")).encode(), b"", b"data: [DONE]"]
    found = read_answer([(float(i), line) for i, line in enumerate(lines)], 2)
    assert (found.error, found.tokens, found.came_s) == ("", 2, [0.0, 6.0])
