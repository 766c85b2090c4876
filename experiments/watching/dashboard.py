"""optuna-dashboard on the loopback address, which shows a storage and changes nothing.

Only requests to this machine's own names are answered, and only those that read: another web page
that the browser has open can neither read the runs nor change what is shown.
"""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import BaseStorage

HOST = "127.0.0.1"
PORT = 8080

_POLL_S = 0.2  # the longest time that `close` waits

Application = Callable[..., Iterable[bytes]]

_SAMPLERS = "optuna_dashboard.preferential.samplers.gp"


def _imported() -> Any:
    """Import optuna-dashboard without its optional samplers, which import BoTorch for seconds."""
    modules: dict[str, Any] = sys.modules
    left_out = _SAMPLERS not in modules
    if left_out:
        modules[_SAMPLERS] = None
    try:
        return import_module("optuna_dashboard")
    finally:
        if left_out:
            modules.pop(_SAMPLERS, None)


_dashboard = _imported()

_OWN_NAMES = ("127.0.0.1", "localhost")
_READING = ("GET", "HEAD")


class _Server(ThreadingMixIn, WSGIServer):
    """A server with one thread for each request."""

    daemon_threads = True
    request_queue_size = 32

    def server_bind(self) -> None:
        """Bind the socket, without asking a name server for this machine's name."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()


class _Silent(WSGIRequestHandler):
    """Answers without a line on the terminal for every request."""

    def log_message(self, format: str, *words: Any) -> None:
        return


class Dashboard:
    """The web server, which runs in threads of its own until it is closed.

    Attributes:
        url: the address of its page.
    """

    def __init__(self, storage: BaseStorage, port: int | None) -> None:
        """Start to serve.

        Args:
            storage: the storage that is shown.
            port: the port; None means 8080, or any free port if that is taken.

        Raises:
            ValueError: the port is taken or may not be used.
        """
        app = _guarded(_dashboard.wsgi(storage))
        self._server = _opened(app, port)
        self.url = f"http://{HOST}:{self._server.server_port}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop to serve."""
        self._server.shutdown()
        self._server.server_close()


def _opened(app: Application, port: int | None) -> WSGIServer:
    wanted = PORT if port is None else port
    try:
        return make_server(HOST, wanted, app, _Server, _Silent)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return make_server(HOST, 0, app, _Server, _Silent)
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ValueError(
            f"port: expected a free port of this machine, got {wanted} ({reason}); "
            f"leave it out to use any free port"
        ) from None


def _guarded(app: Application) -> Application:
    """Return an application that refuses requests of other names, and those that would write."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        name = str(environ.get("HTTP_HOST", "")).rpartition(":")[0] or environ.get("HTTP_HOST")
        if name not in _OWN_NAMES:
            return _refused(start, "403 Forbidden", "expected the name localhost")
        if environ.get("REQUEST_METHOD") not in _READING:
            return _refused(
                start, "405 Method Not Allowed", "the runs' logs are only shown, not changed"
            )
        return app(environ, start)

    return answer


def _refused(start: Callable[..., Any], status: str, reason: str) -> Iterable[bytes]:
    body = f'{{"reason": "{reason}"}}'.encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
