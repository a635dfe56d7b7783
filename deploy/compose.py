"""Reads the services of `docker-compose.yml` as commands and environments for a host without Docker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from paddle_int8.tasks.contracts.errors import ConfigError

VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")
EVERYWHERE = "0.0.0.0"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: its command, its environment and its health check.

    `files` holds the content of its configuration files, by path. `ends` is True for a service that does one
    task and ends, False for a server.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    health: tuple[str, ...]
    files: dict[Path, str]
    ends: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where the services' files and ports are on this host.

    The data of each service are in a folder of its name below `folder`. `project` is the project's folder.
    `ports` maps a service's own port to the one that it uses here; ports that are not listed stay.
    """

    folder: Path
    project: Path
    ports: Mapping[int, int]

    def translated(self, text: str, service: str, names: frozenset[str], targets: Mapping[str, Path]) -> str:
        """Translates a string of the compose file, such as a path or an address, for use on this host."""
        for target, path in targets.items():
            text = text.replace(target, str(path))
        text = re.sub(r"(?<![\w.])/data(?=/|$)", str(self.folder / service), text)
        text = re.sub(r"(?<![\w.])/app(?=/|$)", str(self.project), text)
        text = re.sub(rf"(?<=[/@=])({'|'.join(names)})(?=:\d)", LOOPBACK, text).replace(EVERYWHERE, LOOPBACK)
        return re.sub(
            r"(?<=[:=])\d{4}(?!\d)|^\d{4}$", lambda port: str(self.ports.get(int(port[0]), port[0])), text
        )


def services(file: Path, variables: Mapping[str, str], host: Host) -> tuple[Service, ...]:
    """All services, each one after those that it depends on.

    Raises: ConfigError, as Compose does, when a variable that must be set is missing or empty.
    """
    project = yaml.safe_load(file.read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = project["services"]
    needs = {name: each.get("depends_on", {}) for name, each in found.items()}
    ends = {
        name
        for each in needs.values()
        for name, need in each.items()
        if need["condition"] == "service_completed_successfully"
    }
    return tuple(
        _service(name, found, project["configs"], variables, host, ends=name in ends)
        for name in TopologicalSorter(needs).static_order()
    )


def _service(
    name: str,
    found: dict[str, dict[str, Any]],
    contents: dict[str, dict[str, str]],
    variables: Mapping[str, str],
    host: Host,
    *,
    ends: bool,
) -> Service:
    raw, names = found[name], frozenset(found)
    mounted = {each["target"]: each["source"] for each in raw.get("configs", ())}
    targets = {target: host.folder / name / Path(target).name for target in mounted}

    def here(text: object) -> str:
        return _filled(host.translated(str(text), name, names, targets), variables)

    test = raw.get("healthcheck", {}).get("test", ())
    return Service(
        name=name,
        command=tuple(map(here, raw.get("command", ()))),
        environment={
            key: LOOPBACK if value in names else here(value)
            for key, value in raw.get("environment", {}).items()
        },
        health=tuple(map(here, test[1:])),
        files={targets[target]: here(contents[source]["content"]) for target, source in mounted.items()},
        ends=ends,
    )


def _filled(text: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, operator, operand = match.groups()
        found = variables.get(name, "")
        if not found and operator == "?":
            raise ConfigError(found=f"no {name}", required="a value of your own", remedy=operand)
        return found or (operand if operator == "-" else "")

    return VARIABLE.sub(value, text)
