"""An MLflow that has answered is waited for while it is started again; one that never answered is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.tracking import connection as opening
from paddle_int8.tasks.tracking.connection import connection
from tests.e2e.servers import free_port
from tests.patience import allowed

AWAY_S = 3


class _Answering(BaseHTTPRequestHandler):
    """MLflow's answer to the first question: no experiments."""

    status, said = 200, b"{}"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_said: object) -> None:
        """Says nothing."""


class _Refusing(_Answering):
    status, said = 401, b"You are not authenticated."


@contextmanager
def _server(port: int, answers: type[_Answering] = _Answering) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", port), answers) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.shutdown()
            serving.join()


def _open(uri: str) -> None:
    with connection(uri):
        pass


def test_mlflow_that_is_started_again_is_waited_for_and_the_wait_is_told() -> None:
    port, back, told = free_port(), threading.Event(), list[str]()

    def start_again() -> None:
        time.sleep(AWAY_S)
        with _server(port):
            back.wait(allowed(60))

    with _server(port) as uri:
        _open(uri)
    later = threading.Thread(target=start_again)
    later.start()
    try:
        with progress.listen(lambda event: told.append(event.note)):
            _open(uri)
    finally:
        back.set()
        later.join()
    assert any("waiting for it" in note and "at most" in note for note in told), told


def test_mlflow_that_stays_away_is_an_error_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "AWAY_S", 1)
    with _server(free_port()) as uri:
        _open(uri)
    with pytest.raises(RegistryError, match=r"(?i)refused"):
        _open(uri)


def test_mlflow_that_refuses_a_user_whom_it_let_in_before_is_an_error_at_once() -> None:
    port = free_port()
    with _server(port) as uri:
        _open(uri)
    started, limit_s = time.monotonic(), allowed(AWAY_S)
    with _server(port, _Refusing), pytest.raises(RegistryError, match="401"):
        _open(uri)
    assert time.monotonic() - started < limit_s
