"""Runs the services of `docker-compose.yml` as local processes, for hosts without Docker (`make stack`).

The services run until Ctrl-C. They need PostgreSQL's programs and a filled-in `.env`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from deploy.compose import LOOPBACK, Host, Service, services
from paddle_int8.flows.cli.embedded.pages import TRAINED_MODELS
from paddle_int8.tasks.contracts.errors import ConfigError, IsolatedProcessError, PipelineError
from paddle_int8.tasks.process.isolated import last_lines
from paddle_int8.tasks.process.pace import Patience, slowness

START_S = 180
"""Time limit for a start, on the reference host of `tasks/process/pace.py`; slower hosts get more."""
HEALTH_S = 60
STOP_S = 20
DATABASE = "postgres"
PASSED_ON = ("LANG", "TMPDIR", "HOME")
"""Environment variables that a service inherits, besides PATH."""


def read_env(file: Path) -> dict[str, str]:
    """Reads the `NAME=value` lines of a file.

    Raises: ConfigError when there is no such file.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            found=str(error), required="the secrets of the stack", remedy=f"copy .env.example to {file}"
        ) from error
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


@contextmanager
def running(stack: tuple[Service, ...], host: Host) -> Iterator[None]:
    """Runs the services in their order. Each starts when the one before it is healthy or has ended.

    Raises: IsolatedProcessError when a service ends too early or does not become healthy.
    """
    binaries = _postgres_programs()
    with ExitStack() as open_services:
        for service in stack:
            for path, content in service.files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
                path.chmod(0o600)
            if service.name == DATABASE:
                open_services.enter_context(_database(service, host, binaries))
            else:
                open_services.enter_context(_process(service, host, binaries))
        yield


@contextmanager
def _process(service: Service, host: Host, binaries: Path) -> Iterator[None]:
    (host.folder / service.name).mkdir(parents=True, exist_ok=True)
    log = host.folder / f"{service.name}.log"
    environment = _environment(service, binaries)
    with log.open("ab") as output:
        process = subprocess.Popen(
            service.command,
            executable=shutil.which(service.command[0], path=environment["PATH"]),
            cwd=host.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(service, process, environment, log)
        yield
    finally:
        _stop(process)


def _wait(service: Service, process: subprocess.Popen[bytes], environment: dict[str, str], log: Path) -> None:
    patience = Patience(START_S)
    while not patience.is_over():
        status = process.poll()
        if status == 0 and service.ends:
            return
        if status is not None:
            break
        if not service.ends and _healthy(service, environment):
            return
        time.sleep(0.5)
    raise IsolatedProcessError(
        found=f"{service.name} did not start; last lines of {log}:\n{last_lines(log)}",
        required="a service that ends well" if service.ends else "a service that answers its health check",
        remedy="correct what it says",
    )


def _healthy(service: Service, environment: dict[str, str]) -> bool:
    command = subprocess.run(
        service.health,
        executable=shutil.which(service.health[0], path=environment["PATH"]),
        env=environment,
        capture_output=True,
        timeout=HEALTH_S * slowness(),
    )
    return command.returncode == 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _environment(service: Service, binaries: Path) -> dict[str, str]:
    own = str(Path(sys.executable).parent)
    path = os.pathsep.join((own, str(binaries), os.environ.get("PATH", os.defpath)))
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed, **service.environment, "PATH": path}


@contextmanager
def _database(service: Service, host: Host, binaries: Path) -> Iterator[None]:
    """Runs PostgreSQL, and does what the entry point of its image does at the first start.

    That is: create a cluster with the service's user and password, then run the service's SQL files.
    """
    folder = host.folder / service.name
    folder.mkdir(parents=True, exist_ok=True)
    name, password = (service.environment[f"POSTGRES_{key}"] for key in ("USER", "PASSWORD"))
    port = str(host.ports.get(5432, 5432))
    data, log, secret = folder / "data", host.folder / f"{service.name}.log", folder / "password"
    environment = {**_environment(service, binaries), "PGPASSWORD": password}
    account = "postgres" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
    new = not data.exists()
    if new:
        secret.write_text(password, encoding="utf-8")
    if account:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, account, account)

    def run(*command: str, user: str | None = account) -> None:
        with log.open("ab") as output:
            subprocess.run(
                command,
                executable=str(binaries / command[0]),
                cwd="/",
                env=environment,
                user=user,
                stdout=output,
                stderr=output,
                check=True,
                timeout=START_S * slowness(),
            )

    if new:
        made = ("-U", name, "-A", "scram-sha-256", "--pwfile", str(secret))
        run("initdb", "-D", str(data), *made, *service.environment["POSTGRES_INITDB_ARGS"].split())
        secret.unlink()
    options = f"-p {port} -c listen_addresses={LOOPBACK} -c unix_socket_directories={folder}"
    run("pg_ctl", "-D", str(data), "-w", "-s", "-l", str(folder / "server.log"), "-o", options, "start")
    try:
        if new:
            reach = ("-h", LOOPBACK, "-p", port, "-U", name, "-v", "ON_ERROR_STOP=1")
            run(
                "psql",
                *reach,
                "-d",
                "postgres",
                "-c",
                f"CREATE DATABASE {service.environment['POSTGRES_DB']}",
            )
            for sql in service.files.values():
                run("psql", *reach, "-d", service.environment["POSTGRES_DB"], "-c", sql)
        if not _healthy(service, environment):
            raise IsolatedProcessError(
                found=f"{service.name} is not healthy; last lines of {folder / 'server.log'}:\n"
                f"{last_lines(folder / 'server.log')}",
                required="a database that its own health check finds",
                remedy="correct what it says",
            )
        yield
    finally:
        run("pg_ctl", "-D", str(data), "-w", "-s", "-m", "fast", "stop")


def _postgres_programs() -> Path:
    found = shutil.which("pg_config")
    if found:
        bindir = subprocess.run([found, "--bindir"], capture_output=True, text=True, check=True).stdout
        if (Path(bindir.strip()) / "initdb").is_file():
            return Path(bindir.strip())
    raise ConfigError(
        found="no PostgreSQL server on this host",
        required="its programs, found by pg_config",
        remedy="apt-get install postgresql libpq-dev",
    )


def end_on_signals() -> None:
    """Makes the first SIGINT or SIGTERM raise KeyboardInterrupt, so that all services are stopped in order.

    Later signals are ignored, because they would interrupt the stopping.
    """

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, end)


def main() -> int:
    project = Path.cwd()
    host = Host(folder=project / "var" / "stack", project=project, ports={})
    end_on_signals()
    try:
        stack = services(project / "docker-compose.yml", read_env(project / ".env"), host)
        with running(stack, host):
            sys.stdout.write(
                "Prefect  http://127.0.0.1:4200\n"
                f"MLflow   http://127.0.0.1:5000/{TRAINED_MODELS}\n"
                "Ctrl-C ends all\n"
            )
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
