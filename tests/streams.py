"""A server that streams completions according to a script."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from objectives.serving.load.arrivals import plan
from objectives.serving.load.client import Client
from objectives.serving.load.load_generator import Load
from stand_in import StandIn

GAP_S = 0.05


@dataclass(frozen=True)
class Script:
    """One answer.

    Attributes:
        chunks: messages, each sent `gap_s` after the previous one; strings are sent unchanged.
        gap_s: the time between messages in seconds.
        chunked: whether the body is sent in HTTP's chunks.
        stays_open: whether the server leaves the connection open afterwards.
    """

    chunks: Sequence[dict[str, Any] | str]
    gap_s: float = GAP_S
    chunked: bool = False
    stays_open: bool = False


def chunk(text: str, **more: Any) -> dict[str, Any]:
    """Return a message with one choice; `usage` and similar keys are outside the choice."""
    outer = {key: more.pop(key) for key in ("usage",) if key in more}
    return {"choices": [{"text": text, "finish_reason": None, **more}], **outer}


def usage(tokens: int) -> dict[str, Any]:
    """Return the closing message of usage."""
    return {"choices": [], "usage": {"completion_tokens": tokens}}


def spelled(letters: str) -> list[dict[str, Any]]:
    """Return one chunk per letter: T with text, E without; F and G end it, with a reason."""
    kinds = {
        "T": chunk("a"),
        "E": chunk(""),
        "F": chunk("", finish_reason="length"),
        "G": chunk("a", finish_reason="length"),
    }
    return [kinds[letter] for letter in letters]


@contextmanager
def served(script: Script) -> Iterator[str]:
    """Serve a script on a port of its own; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            if script.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for message in script.chunks:
                time.sleep(script.gap_s)
                self._send(message if isinstance(message, str) else f"data: {json.dumps(message)}")
            self._send("data: [DONE]")
            if script.chunked:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = not script.stays_open

        def _send(self, line: str) -> None:
            content = f"{line}\n\n".encode()
            frame = b"%x\r\n%s\r\n" % (len(content), content) if script.chunked else content
            self.wfile.write(frame)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def sent(script: Script, tokens: int) -> Load:
    """Return one request for some tokens, sent to the server of a script."""
    lengths = {"lengths": f"D(4,{tokens})", "shared_prefix": 0}
    load = plan({"arrivals": "closed", "concurrency": 1, "requests": 1, **lengths}, seed=0)
    with served(script) as url:
        return Client().run(url, StandIn(), load, seed=0, timeout_s=30, ended=lambda: None)
