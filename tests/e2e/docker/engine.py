"""Docker's engine on this host, and the images that a build starts from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.e2e.servers import ROOT
from tests.patience import allowed

HERE = Path(__file__).parent
STEP_S = 1500
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
STAND_INS = {"python": HERE / "python.Dockerfile", "postgres": HERE / "postgres.Dockerfile"}
"""What is built of Debian's packages where an image of this name cannot be pulled."""
WITH_BUILDKIT = {"DOCKER_BUILDKIT": "1"}


def docker(*arguments: str, seconds: float = 120, check: bool = True, said: str | None = None) -> str:
    """What `docker` prints; `said` is its standard input.

    Raises: AssertionError with its output when it fails, unless `check` is off.
    """
    ended = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env=os.environ | WITH_BUILDKIT,
        input=said or "",
        capture_output=True,
        text=True,
        timeout=allowed(seconds),
        check=False,
    )
    assert ended.returncode == 0 or not check, f"docker {arguments[0]}: {ended.stderr[-3000:]}"
    return ended.stdout if check else ended.stdout + ended.stderr


def missing() -> list[str]:
    """What this host lacks for these tests."""
    if shutil.which("docker") is None:
        return ["docker"]
    asked = {
        "Docker's engine": ("version", "--format", "{{.Server.Version}}"),
        "docker compose": ("compose", "version"),
    }
    return [name for name, command in asked.items() if not _works(command)]


def missing_images() -> list[str]:
    """The images that ours are built from and cannot be had; those that could are on the engine now."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    base = re.findall(r"^FROM (python:\S+)", dockerfile, re.MULTILINE)
    database = re.findall(r"^ +image: (postgres:\S+)", compose, re.MULTILINE)
    assert len(base) == len(database) == 1
    return [image for image in {*base, *database} if not (_is_there(image) or _made(image))]


def _is_there(image: str) -> bool:
    return _works(("image", "inspect", image)) or _works(("pull", "--quiet", image), seconds=STEP_S)


def _made(image: str) -> bool:
    """Builds the stand-in of `image` from Debian's minimal system of the release in its tag."""
    name, _, tag = image.partition(":")
    if os.getuid() or shutil.which("debootstrap") is None:
        return False
    with tempfile.TemporaryDirectory(prefix="stand-in-") as folder:
        root, context = Path(folder) / "root", Path(folder) / "context"
        context.mkdir()
        release = tag.rpartition("-")[2]
        made = ["debootstrap", "--variant=minbase", "--include=ca-certificates", release, str(root)]
        subprocess.run(made, check=True, capture_output=True, timeout=allowed(STEP_S))
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        packed = ["tar", "-C", str(root), "-cf", str(context / "root.tar"), "--exclude=./var/cache/apt/*.bin"]
        subprocess.run([*packed, "--exclude=./dev/*", "."], check=True, timeout=allowed(STEP_S))
        for file in HERE.iterdir():
            if file.is_file():
                shutil.copy(file, context)
        docker(
            "build",
            "--tag",
            image,
            "--file",
            str(context / STAND_INS[name].name),
            str(context),
            seconds=STEP_S,
        )
    return True


def _works(command: tuple[str, ...], seconds: float = 60) -> bool:
    ended = subprocess.run(["docker", *command], capture_output=True, timeout=allowed(seconds), check=False)
    return ended.returncode == 0
