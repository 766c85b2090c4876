"""What the load generator of our own costs: CPU time per chunk of a stream, and how late it gets.

    PYTHONPATH=. python tests/benchmarks/serving_client.py

A server in a process of its own streams `STREAMS` answers side by side, one token a chunk, with
chunks of the size and the form that vLLM sends, each in a write of its own: first a round every
`PAUSE_S`, then as fast as it can. CPU time is that of this process alone. Lateness is what the
client measures of itself; above 0.2 s an evaluation is invalid.
"""

import json
import socket
import subprocess
import sys
import time

from objectives.serving.engine import Demand, Engine, Launch
from objectives.serving.load.arrivals import plan
from objectives.serving.load.client import Client
from objectives.trial import Config

STREAMS, TOKENS, PAUSE_S, RUNS = 32, 1000, 0.005, 3


class AnEngine(Engine):
    """Describes the server of this file."""

    name = "benchmark"
    parameters = ()
    tokens = (10, 20)

    def launch(self, config: Config, port: int, demand: Demand) -> Launch:
        raise NotImplementedError

    def is_out_of_memory(self, output: str) -> bool:
        return False


def framed(content: bytes) -> bytes:
    """Return an event as a chunk of HTTP."""
    event = b"data: %s\n\n" % content
    return b"%x\r\n%s\r\n" % (len(event), event)


def message(**changes: object) -> bytes:
    """Return a chunk of vLLM's form."""
    choice = {"index": 0, "text": " a", "logprobs": None, "finish_reason": None}
    whole = {
        "id": "cmpl-0123456789abcdef0123456789abcdef",
        "object": "text_completion",
        "created": 1700000000,
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "choices": [{**choice, "stop_reason": None}],
        "usage": None,
    }
    return json.dumps({**whole, **changes}).encode()


def accepted(listener: socket.socket) -> socket.socket:
    """Take one request, and begin its answer."""
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536)
    head, _, body = request.partition(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    return connection


def serve(pause_s: float) -> None:
    """Answer `STREAMS` requests side by side, again and again."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=STREAMS)
    print(listener.getsockname()[1], flush=True)
    token = framed(message())
    end = framed(message(choices=[], usage={"completion_tokens": TOKENS})) + framed(b"[DONE]")
    while True:
        connections = [accepted(listener) for _ in range(STREAMS)]
        for _ in range(TOKENS):
            time.sleep(pause_s)
            for connection in connections:
                connection.sendall(token)
        for connection in connections:
            connection.sendall(end + b"0\r\n\r\n")
            connection.close()


def measure(pause_s: float) -> None:
    """Print what some loads cost."""
    words = [sys.executable, __file__, str(pause_s)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        closed = {"arrivals": "closed", "concurrency": STREAMS, "requests": STREAMS}
        load = plan({**closed, "lengths": f"D(100,{TOKENS})", "shared_prefix": 0}, seed=0)
        for _ in range(RUNS):
            started, cpu = time.perf_counter(), time.process_time()
            done = Client().run(url, AnEngine(), load, seed=0, timeout_s=120, ended=lambda: None)
            seconds, cost = time.perf_counter() - started, time.process_time() - cpu
            assert done.requests.succeeded.all(), done.requests.errors
            chunks = STREAMS * TOKENS
            print(
                f"{1e6 * cost / chunks:.1f} us a chunk at {chunks / seconds:.0f} chunks/s, "
                f"late by {1e3 * done.late_s:.0f} ms"
            )
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    if sys.argv[1:]:
        serve(float(sys.argv[1]))
    else:
        for pause in (PAUSE_S, 0.0):
            measure(pause)
