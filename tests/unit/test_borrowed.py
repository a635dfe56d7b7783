"""What is taken of another package's inside is there, and its absence is told."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from paddle_int8.tasks.contracts.borrowed import Borrowed
from paddle_int8.tasks.contracts.errors import InstallationError

NUMPY = version("numpy")
SERIES = NUMPY.rpartition(".")[0]
THERE = {"json": ("dumps",), "json:JSONDecoder": ("decode",)}


def _borrowed(
    release: str = NUMPY,
    names: dict[str, tuple[str, ...]] | None = None,
    fields: dict[str, tuple[str, ...]] | None = None,
) -> Borrowed:
    return Borrowed(
        package="numpy", release=release, adapter="tasks/x.py", names=names or {}, fields=fields or {}
    )


@pytest.mark.parametrize("release", [NUMPY, SERIES])
def test_borrowed_of_a_tested_release_with_all_names_is_taken(release: str) -> None:
    _borrowed(release, THERE, {"json:JSONDecoder": ("object_hook", "scan_once")}).require()


@pytest.mark.parametrize("release", ["0.1", SERIES[:-1], f"{NUMPY}.1"])
def test_borrowed_of_another_release_is_refused_with_what_to_do(release: str) -> None:
    with pytest.raises(InstallationError) as refused:
        _borrowed(release, THERE).require()
    assert refused.value.found == f"numpy {NUMPY}"
    assert refused.value.required == f"numpy {release}, with which tasks/x.py was tested"
    assert refused.value.remedy == (
        "install the versions of requirements/release.lock; to upgrade numpy, follow docs/upgrading.md and "
        "correct tasks/x.py"
    )


@pytest.mark.parametrize(
    ("names", "fields", "told"),
    [
        pytest.param({"json": ("dumps", "gone")}, {}, "json.gone", id="a function"),
        pytest.param({"json:JSONDecoder": ("gone",)}, {}, "json:JSONDecoder.gone", id="a method"),
        pytest.param({"json:Gone": ("x",)}, {}, "json:Gone.x", id="a class"),
        pytest.param({"json.gone": ("x",)}, {}, "json.gone.x", id="a module"),
        pytest.param({"json:__dict__": ("gone",)}, {}, "json:__dict__.gone", id="a key"),
        pytest.param({}, {"json:JSONDecoder": ("_gone",)}, "_gone in json:JSONDecoder", id="a field"),
        pytest.param({}, {"json:loads": ("_gone",)}, "_gone in json:loads", id="a text"),
    ],
)
def test_borrowed_name_that_is_gone_is_told(
    names: dict[str, tuple[str, ...]], fields: dict[str, tuple[str, ...]], told: str
) -> None:
    with pytest.raises(InstallationError) as refused:
        _borrowed(names=names, fields=fields).require()
    assert refused.value.found == f"numpy {NUMPY} without {told}"


def test_borrowed_package_that_is_not_installed_is_refused() -> None:
    absent = Borrowed(package="no-such-package", release="1", adapter="tasks/x.py", names={})
    with pytest.raises(InstallationError, match="no-such-package that is not installed"):
        absent.require()


def test_borrowed_method_that_is_removed_afterwards_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(json.JSONDecoder, "decode")
    with pytest.raises(InstallationError, match=r"without json:JSONDecoder\.decode"):
        _borrowed(names=THERE).require()
