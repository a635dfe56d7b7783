"""A webhook receiver that remembers what was posted to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """`told` holds the JSON bodies in their order."""

    url: str
    told: list[dict[str, Any]] = field(default_factory=list)

    def about(self, model: str) -> list[str]:
        """Events of one model."""
        return [each["event"] for each in self.told if each["model"] == model]


@contextmanager
def webhook() -> Iterator[Webhook]:
    told: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing to the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Webhook(url=f"http://127.0.0.1:{server.server_port}/told", told=told)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
