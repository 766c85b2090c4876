"""An OpenAI-compatible endpoint whose answers follow from the request, for tests.

It reads the schema and the history in the prompt and proposes a small step from the best
configuration, so that it learns. Its random numbers are seeded by the request.
"""

import json
import math
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

Script = Callable[[dict[str, Any]], str]
"""Returns the text that answers the body of a request."""


def a_step_from_the_best(body: dict[str, Any]) -> str:
    """Return a proposal near the best configuration in the prompt, with words around it."""
    prompt: str = body["messages"][-1]["content"]
    rng = np.random.default_rng([body["seed"], zlib.crc32(prompt.encode())])
    schema = json.loads(prompt.splitlines()[1])
    told = [line.split(" -> ") for line in prompt.splitlines() if " -> " in line]
    values = {config: float(value) for config, value in told if value != "failed"}
    best = json.loads(min(values, key=lambda config: values[config])) if values else {}
    step = 0.3 * 0.9 ** len(told)
    proposed = {name: _near(keys, best.get(name), step, rng) for name, keys in schema.items()}
    return f"Here it is:\n```json\n{json.dumps(proposed)}\n```"


def _near(keys: dict[str, Any], best: Any, step: float, rng: np.random.Generator) -> Any:
    if "const" in keys:
        return keys["const"]
    if "enum" in keys:
        stays = best is not None and rng.random() < 0.7
        return best if stays else keys["enum"][int(rng.integers(len(keys["enum"])))]
    low, high = keys["minimum"], keys["maximum"]
    if "scale" in keys:
        low, high = math.log(low), math.log(high)
        best = best if best is None else math.log(best)
    if low == high:
        return keys["minimum"]
    place = rng.random() if best is None else (best - low) / (high - low)
    natural = low + (high - low) * min(max(place + step * rng.standard_normal(), 0.0), 1.0)
    natural = math.exp(natural) if "scale" in keys else natural
    natural = min(max(natural, keys["minimum"]), keys["maximum"])  # exp may round out of bounds
    return round(natural) if keys["type"] == "integer" else natural


@contextmanager
def endpoint(script: Script = a_step_from_the_best) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve a script; yield the address and the list of the bodies of all requests so far."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.append(body)
            answer = {"choices": [{"message": {"content": script(body)}}]}
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
