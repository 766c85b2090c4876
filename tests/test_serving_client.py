"""The load generator against the stand-in server."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from objectives.serving.engine import Demand
from objectives.serving.host.server import Server
from objectives.serving.load.arrivals import Plan, plan
from objectives.serving.load.client import Client
from objectives.serving.load.exchange import read
from objectives.serving.load.load_generator import Load, prompts
from objectives.trial import Config
from stand_in import StandIn

TOKEN_S = 0.002  # of the stand-in, at least


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config: Config = {"behaviour": "serves"}
    limits: dict[str, Any] = {"startup_timeout_s": 60, "memory_limit_bytes": None}
    with Server(StandIn(), config, Demand(100, 10), port=0, **limits) as running:
        yield running


def sent(server: Server, load: Plan) -> Load:
    return Client().run(
        server.url, StandIn(), load, seed=0, timeout_s=60, ended=lambda: server.ended()
    )


def a_load(**changes: Any) -> Plan:
    return plan(
        {
            "arrivals": "closed",
            "concurrency": 3,
            "rate_per_s": 50.0,
            "requests": 12,
            "lengths": "U(3,9)/(2,6)",
            "shared_prefix": 2,
            **changes,
        },
        seed=1,
    )


def test_every_request_is_a_row_with_its_times_and_tokens(server: Server) -> None:
    load = a_load()
    requests = sent(server, load).requests
    assert len(requests) == 12 and requests.succeeded.all()
    assert sorted(requests.answer_tokens) == sorted(load.answer_tokens)
    assert sorted(requests.prompt_tokens) == sorted(load.prompt_tokens)
    assert (requests.first_s - requests.arrival_s >= TOKEN_S).all()
    assert (requests.end_s - requests.arrival_s >= TOKEN_S * requests.answer_tokens).all()
    assert len(requests.gaps_s) == (load.answer_tokens - 1).sum()


def test_a_closed_loop_never_has_more_requests_under_way_than_its_concurrency(
    server: Server,
) -> None:
    requests = sent(server, a_load()).requests
    under_way = [
        int(((requests.arrival_s <= t) & (requests.end_s > t)).sum()) for t in requests.arrival_s
    ]
    assert max(under_way) <= 3


def test_an_open_loop_sends_when_requests_are_due_whatever_the_server_does(server: Server) -> None:
    load = a_load(arrivals="poisson")
    requests = sent(server, load).requests
    assert load.arrivals_s is not None
    assert requests.arrival_s == pytest.approx(load.arrivals_s, abs=1e-9)


def test_a_client_that_is_held_up_says_so(server: Server) -> None:
    def hold_up() -> None:
        until = time.perf_counter() + 0.2
        while time.perf_counter() < until:
            pass

    load = Client().run(
        server.url, StandIn(), a_load(), seed=0, timeout_s=60, ended=lambda: hold_up()
    )
    assert load.late_s > 0.1


def test_requests_that_had_no_answer_in_time_are_counted(server: Server) -> None:
    load = a_load(arrivals="poisson", rate_per_s=0.001)  # the second is due in a quarter of an hour
    broken_off = Client().run(
        server.url, StandIn(), load, seed=0, timeout_s=2, ended=lambda: server.ended()
    )
    assert (len(broken_off.requests), broken_off.unsent) == (1, 11)


@pytest.mark.parametrize("size", ["-5", "x", "+5", "1_0", "f" * 30])
def test_the_size_of_a_chunk_that_is_none_is_refused(size: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(ValueError, match="expected the size of a chunk"):
        read([(0.0, head + size.encode() + b"\r\nabc\r\n0\r\n\r\n")])


def test_prompts_have_their_lengths_share_their_prefix_and_repeat() -> None:
    load = a_load(shared_prefix=4)
    texts = prompts(load, (10, 10_000), seed=5)
    assert [len(text) for text in texts] == load.prompt_tokens.tolist()
    longest = max(texts, key=len)
    assert all(text[:4] == longest[: min(4, len(text))] for text in texts)
    assert len({tuple(text[4:]) for text in texts if len(text) > 6}) > 1
    assert texts == prompts(load, (10, 10_000), seed=5)
    assert min(map(min, texts)) >= 10 and max(map(max, texts)) <= 10_000


def test_a_prompt_is_the_same_in_a_shorter_load() -> None:
    load = a_load()
    assert prompts(load.first(3), (0, 99), 5) == prompts(load, (0, 99), 5)[:3]


def test_tokens_a_second_of_the_stand_in_are_below_what_it_can_give(server: Server) -> None:
    requests = sent(server, a_load(concurrency=1)).requests
    seconds = float(np.max(requests.end_s) - requests.arrival_s[0])
    assert requests.answer_tokens.sum() / seconds <= 1 / TOKEN_S
