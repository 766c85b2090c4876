"""A server with the endpoints of an engine, which fails as its first argument determines.

python stand_in_server.py BEHAVIOUR PORT
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEHAVIOUR, PORT = sys.argv[1], int(sys.argv[2])
TOKEN_S = float(os.environ.get("STAND_IN_TOKEN_S", "0.002"))  # before each token
ENGINES = ("vllm", "sglang")
WARMUP = 1  # requests before the load
_served = 0
_lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        if self.path == "/metrics":
            self.wfile.write(metrics().encode())

    def do_POST(self) -> None:
        global _served
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with _lock:
            _served += 1
            number = _served - WARMUP  # of this request in the load, from 1
        if BEHAVIOUR == "fails_most" and number > 0 and number % 4:
            self.send_error(500)
            return
        self.send_response(200)
        self.end_headers()
        n = request["max_tokens"] - (1 if BEHAVIOUR == "short" else 0)
        for i in range(n):
            time.sleep(TOKEN_S)
            if BEHAVIOUR == "dies" and number > 3 and i == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if BEHAVIOUR == "loses_its_gpu" and number > 3:
                print("RuntimeError: the GPU has fallen off the bus", flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            if BEHAVIOUR == "stalls" and number > 3 and i == 1:
                threading.Event().wait()
            self._send({"choices": [{"text": " a", "finish_reason": None}]})
        usage = {"completion_tokens": n}
        self._send({"choices": [{"text": "", "finish_reason": "length"}], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, message: dict[str, object]) -> None:
        self.wfile.write(f"data: {json.dumps(message)}\n\n".encode())

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def metrics() -> str:
    """Return the counters under vLLM's and SGLang's names, with labels like theirs."""
    prompts = [f'{engine}:prompt_tokens_total{{engine="0"}} {_served}.0' for engine in ENGINES]
    used = ['vllm:kv_cache_usage_perc{engine="0"} 0.25', 'sglang:token_usage{tp_rank="0"} 0.25']
    return "\n".join(["# HELP a page", *prompts, *used, ""])


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if "STAND_IN_SHARED" in os.environ:  # like real servers, which remove it when they are asked to end
    with open(os.environ["STAND_IN_SHARED"], "wb") as file:
        file.write(b"x")
if BEHAVIOUR == "refuses":
    sys.exit("unknown flag")
if BEHAVIOUR == "allocates":
    held = bytearray(8 << 30)
if BEHAVIOUR == "hangs":
    threading.Event().wait()
if BEHAVIOUR == "is_crowded_out":
    sys.exit(
        "ValueError: Free memory on device cuda:0 (3.1/79.2 GiB) on startup is less than desired "
        "GPU memory utilization (0.9, 71.2 GiB)."
    )
if BEHAVIOUR == "finds_port_taken":
    sys.exit(f"port {PORT}: address already in use")
Server(("127.0.0.1", PORT), Handler).serve_forever()
