"""MLflow as firms run it: behind a private certificate, a token or a proxy, or with a separate registry."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from paddle_int8.tasks.config.model import RegisteredModel
from paddle_int8.tasks.contracts.artifacts import Bundle
from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.promotion import ledger
from paddle_int8.tasks.tracking import runs
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.download import folders, repository
from paddle_int8.tasks.tracking.registry import register
from paddle_int8.tasks.tracking.source import resolve_source
from tests import databases
from tests.decision_factory import build_decision
from tests.e2e.servers import STARTUP_S, free_port, running, wait_until
from tests.release_factory import build_config, build_release

TOKEN = "a-token"
SWITCHES = (
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_TOKEN",
    "REQUESTS_CA_BUNDLE",
    "MLFLOW_REGISTRY_URI",
)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SWITCHES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca.pem`, which signed `server.pem`; `client.pem` is for whoever wants to be let in."""
    folder = tmp_path_factory.mktemp("authority")
    key = ec.generate_private_key(ec.SECP256R1())
    own = _certificate("authority", key, signed_by=("authority", key), of_authority=True)
    (folder / "ca.pem").write_bytes(own)
    for name in ("server", "client"):
        key_of = ec.generate_private_key(ec.SECP256R1())
        plain = key_of.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(_certificate(name, key_of, signed_by=("authority", key)) + plain)
    return folder


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    signed_by: tuple[str, ec.EllipticCurvePrivateKey],
    of_authority: bool = False,
) -> bytes:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    issuer, signer = signed_by
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=of_authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
    )
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def behind_tls(authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow whose certificate no public authority has signed."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    server = str(authority / "server.pem")
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", databases.mlflow_in(folder)]
    command += ["--uvicorn-opts", f"--ssl-certfile {server} --ssl-keyfile {server}"]
    environment = {"PATH": "", "HOME": str(folder), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(command, environment=environment, log=folder / "server.log") as process:
        wait_until(
            lambda: process.poll() is not None or _accepts(port), bool, seconds=STARTUP_S, what="MLflow"
        )
        assert process.poll() is None, (folder / "server.log").read_text()
        yield f"https://127.0.0.1:{port}"


def _accepts(port: int) -> bool:
    try:
        ssl.get_server_certificate(("127.0.0.1", port))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", "{authority}/ca.pem"),
        ("MLFLOW_TRACKING_INSECURE_TLS", "true"),
        ("REQUESTS_CA_BUNDLE", "{authority}/ca.pem"),
    ],
)
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_mlflow_behind_a_private_authority_is_reached_as_mlflows_own_client_reaches_it(
    behind_tls: str, authority: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value.format(authority=authority))
    with connection(behind_tls) as client:
        assert client.get_experiment_by_name("Default") is not None


def test_mlflow_behind_an_unknown_authority_names_the_variable_for_its_certificate(behind_tls: str) -> None:
    with pytest.raises(RegistryError, match="CERTIFICATE_VERIFY_FAILED") as raised:
        connection(behind_tls).__enter__()
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in raised.value.remedy


class _Guarded(BaseHTTPRequestHandler):
    """Answers as MLflow does, to those who bring the token."""

    def do_GET(self) -> None:
        let_in = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        self.send_response(200 if let_in else 403)
        self.end_headers()
        self.wfile.write(b"{}" if let_in else b"who are you?")

    def log_message(self, *_arguments: object) -> None:
        """Into nothing."""


@contextmanager
def _guarded(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Guarded) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_server_that_asks_for_a_certificate_and_a_token_is_given_both(
    authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority / "ca.pem"))
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(str(authority / "server.pem"))
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(authority / "ca.pem"))
    monkeypatch.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", str(authority / "client.pem"))
    with _guarded(tls) as port:
        with pytest.raises(RegistryError) as raised:
            connection(f"https://127.0.0.1:{port}").__enter__()
        assert "MLFLOW_TRACKING_TOKEN" in raised.value.remedy
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
        with connection(f"https://127.0.0.1:{port}"):
            pass


def test_proxy_that_refuses_is_not_taken_for_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with _guarded() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        with pytest.raises(RegistryError, match="403") as raised:
            connection("http://mlflow.example:5000").__enter__()
    assert "NO_PROXY" in raised.value.remedy


def test_registry_apart_from_the_runs_holds_models_aliases_and_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Bundle, doubler: Path
) -> None:
    runs_uri, registry_uri = (databases.mlflow_in(tmp_path / name) for name in ("runs", "registry"))
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", registry_uri)
    run_id, verdict = runs.start_release(runs_uri, build_config()), build_release().verdicts[0]
    register(
        runs_uri,
        run_id,
        bundle,
        name="digits",
        alias="challenger",
        verdict=verdict,
        description="approved",
        python_model=doubler,
    )
    decision = ledger.append(runs_uri, build_decision(to_version="1", from_version=None))
    assert ledger.follow_records(runs_uri, "digits", "champion") == "1"
    for alias in ("challenger", "champion"):
        named = RegisteredModel(registered=f"models:/digits@{alias}")
        assert resolve_source(runs_uri, named).version == "1"
    assert [each.id for each in ledger.decisions(runs_uri, "digits")] == [decision.id]
    with connection(runs_uri) as client:
        version = client.get_model_version("digits", "1")
        artifacts = repository(client.get_model_version_download_uri("digits", "1"), runs_uri)
        assert folders(artifacts, "artifacts") == ("artifacts/bundle",)
    assert version.run_id == run_id
    monkeypatch.delenv("MLFLOW_REGISTRY_URI")
    assert registered_in(runs_uri) == set()
    assert registered_in(registry_uri) == {"digits", "digits.promotions"}


def registered_in(uri: str) -> set[str]:
    with connection(uri) as client:
        return {model.name for model in client.search_registered_models()}
