"""An HTTP server that answers every request alike and remembers it, and a proxy that refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    do_CONNECT = do_POST = do_GET  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        """Into nothing."""


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """The address of a server that answers `status` to everything, and what it was asked."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        server.status, server.asked = status, []  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.asked  # type: ignore[attr-defined]
        server.shutdown()
