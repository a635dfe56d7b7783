"""Executes the Dockerfile's steps unchanged in a root file system of their own, by `chroot`, not by Docker.

Debian's own minimal system of the same release, with its Python 3.11, takes the place of the base image.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import string
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from tests.patience import allowed

STEP_S = 1500
PROGRAMS = ("chroot", "debootstrap", "setpriv", "unshare")
PASSED_ON = re.compile(
    r"(?i)(\w+_proxy|pip_(index_url|extra_index_url|cert|default_timeout)|uv_\w+|ssl_cert_file)$"
)
"""How this host reaches packages, which a build in Docker is told by `--build-arg` or its daemon."""
AS_BUILT, AS_SERVED = "", "--no-new-privs --bounding-set=-all --inh-caps=-all"


@dataclass(slots=True, kw_only=True)
class Image:
    """A root file system below `root`, made of the files in `context`, and what the steps have set so far."""

    root: Path
    context: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    folder: str = "/"
    user: str = "root"

    def build(self, dockerfile: Path) -> None:
        """Raises: CalledProcessError with the output of a step that fails, ValueError for an unknown one."""
        for instruction, rest in steps(dockerfile.read_text(encoding="utf-8")):
            match instruction:
                case "FROM":
                    self._base(rest)
                case "ENV":
                    self._set(rest)
                case "WORKDIR":
                    self.folder = rest
                    self._inside(rest).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(*shlex.split(rest))
                case "RUN":
                    self.run(rest, self._reach())
                case "USER":
                    self.user = rest
                case "VOLUME":
                    self._inside(rest).mkdir(parents=True, exist_ok=True)
                case _:
                    raise ValueError(f"{instruction} {rest}")

    def run(self, command: str, variables: Mapping[str, str] | None = None, *, served: bool = False) -> str:
        """What the shell command says in there, as the image's user; `served` as the stack runs it: read-only
        but for /tmp and /data, and without any right.

        Raises: CalledProcessError when it fails.
        """
        rights = AS_SERVED if served else AS_BUILT
        mounts = [f"mount -t proc proc {self.root}/proc", f"mount --rbind /dev {self.root}/dev"]
        if served:
            mounts = [
                f"mount --bind {self.root} {self.root}",
                f"mount --bind {self.root}/data {self.root}/data",
                f"mount -o remount,bind,ro {self.root}",
                *mounts,
                f"mount -t tmpfs tmpfs {self.root}/tmp",
            ]
        set_here = self.environment | dict(variables or {})
        environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in set_here.items())
        inner = f"cd {self.folder} && exec {shlex.join(('sh', '-c', command))}"
        user = f"--reuid={self.user} --regid={self.user} --init-groups"
        enter = f"chroot {self.root} env -i {environment} setpriv {user} {rights} sh -c {shlex.quote(inner)}"
        script = "\n".join((*mounts, f"exec {enter}"))
        ended = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=allowed(STEP_S),
        )
        if ended.returncode:
            said = ended.stdout[-4000:], ended.stderr[-4000:]
            raise subprocess.CalledProcessError(ended.returncode, command, *said)
        return ended.stdout

    def _base(self, image: str) -> None:
        found = re.fullmatch(r"python:3\.11\.\d+-slim-(\w+)", image)
        if found is None:
            raise ValueError(f"FROM {image}")
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", found[1], str(self.root)]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=allowed(STEP_S))
        python = "apt-get update && apt-get install --yes --no-install-recommends python3.11-venv"
        self.run(python, self._reach())
        self._inside("/usr/local/bin/python").symlink_to("/usr/bin/python3.11")
        for file in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):
            shutil.copy(file, self._inside(file))

    def _set(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.environment[name] = string.Template(value).substitute(self.environment)

    def _copy(self, *paths: str) -> None:
        *sources, target = paths
        into = self._inside(target)
        for source in sources:
            path = self.context / source
            if path.is_dir():
                shutil.copytree(path, into, symlinks=True, ignore=self._ignored, dirs_exist_ok=True)
            else:
                shutil.copy(path, into)

    def _ignored(self, folder: str, names: list[str]) -> set[str]:
        patterns = (self.context / ".dockerignore").read_text(encoding="utf-8").split()
        top = Path(folder) == self.context
        here = [each.removeprefix("**/") for each in patterns if top or each.startswith("**/")]
        return {name for name in names if any(fnmatch(name, each) for each in here)}

    def _inside(self, path: str) -> Path:
        return self.root / os.path.normpath(Path(self.folder) / path).lstrip("/")

    def _reach(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}


def steps(text: str) -> list[tuple[str, str]]:
    """Instruction and the rest of it, of each step of a Dockerfile."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    found = (line.strip().partition(" ") for line in lines if line.strip() and not line.startswith("#"))
    return [(instruction.upper(), rest.strip()) for instruction, _, rest in found]
