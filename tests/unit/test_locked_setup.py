"""The set-up installs what is locked, whatever the package index holds on the day."""

import hashlib
import json
import os
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[2]
_DEPENDENCIES = {"outer": ("inner[extra]>=1",), "inner": ('more>=1; extra == "extra"',), "more": ()}


def _make_wheel(index: Path, name: str, version: str) -> Path:
    """A package without content; ``outer`` needs ``inner`` with an extra, which needs ``more``."""
    wheel = index / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    needs = [f"Requires-Dist: {need}" for need in _DEPENDENCIES[name]]
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *needs]
    if name == "inner":
        metadata.append("Provides-Extra: extra")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def _lock(wheels: list[Path]) -> str:
    pins = []
    for wheel in wheels:
        name, version, *_ = wheel.name.split("-")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        pins.append(f"{name}=={version} --hash=sha256:{digest}\n")
    return "".join(pins)


def _set_up(directory: Path, lock: str) -> subprocess.CompletedProcess[str]:
    """Run the Makefile's own step against the index in ``directory``, and no other."""
    (directory / "lock").write_text(lock)
    venv = directory / "venv"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "MAKE"))}
    environment |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(directory),
    }
    return subprocess.run(
        ["make", f"VENV={venv}", f"LOCK={directory / 'lock'}", f"{venv}/bin/.locked"],
        cwd=_PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def _installed(directory: Path) -> dict[str, str]:
    listed = subprocess.run(
        [directory / "venv/bin/pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    found = {each["name"]: each["version"] for each in json.loads(listed.stdout)}
    return {name: version for name, version in found.items() if name in _DEPENDENCIES}


def test_a_newer_release_in_the_index_changes_nothing(tmp_path: Path) -> None:
    locked = [_make_wheel(tmp_path, name, "1.0") for name in _DEPENDENCIES]
    for name in _DEPENDENCIES:
        _make_wheel(tmp_path, name, "2.0")

    done = _set_up(tmp_path, _lock(locked))

    assert done.returncode == 0, done.stdout + done.stderr
    assert _installed(tmp_path) == dict.fromkeys(_DEPENDENCIES, "1.0")


def test_a_lock_that_lacks_a_package_is_found_out(tmp_path: Path) -> None:
    locked = [_make_wheel(tmp_path, name, "1.0") for name in ("outer", "more")]
    _make_wheel(tmp_path, "inner", "2.0")

    done = _set_up(tmp_path, _lock(locked))

    assert done.returncode != 0
    assert "inner" in done.stdout + done.stderr
    assert not (tmp_path / "venv/bin/.locked").exists()


def test_a_package_that_is_not_the_one_locked_is_refused(tmp_path: Path) -> None:
    lock = _lock([_make_wheel(tmp_path, "more", "1.0")])
    with zipfile.ZipFile(tmp_path / "more-1.0-py3-none-any.whl", "a") as archive:
        archive.writestr("more.py", "")

    done = _set_up(tmp_path, lock)

    assert done.returncode != 0
    assert "hash" in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile"])
def test_nothing_is_ever_resolved_against_the_index(file: str) -> None:
    text = (_PROJECT / file).read_text().replace("\\\n", " ")

    installs = [line for line in text.splitlines() if re.search(r"\bpip\b.*\binstall\b", line)]

    assert installs
    for line in installs:
        for step in re.split(r"&&", line):
            if re.search(r"\bpip\b.*\binstall\b", step):
                locked = "--no-deps" in step and "--require-hashes" in step
                assert locked or ("--no-index" in step and "--no-build-isolation" in step), step


def test_the_project_is_installed_with_all_extras_that_are_not_in_the_checkout() -> None:
    extras = re.search(r"\.\[([a-z,]+)\]", (_PROJECT / "Makefile").read_text())

    declared = tomllib.loads((_PROJECT / "pyproject.toml").read_text())["project"]

    assert extras is not None
    assert set(extras[1].split(",")) == set(declared["optional-dependencies"]) - {"local"}


def test_the_lock_holds_what_builds_the_project() -> None:
    pins = re.findall(
        r"^([a-z0-9-]+)==", (_PROJECT / "requirements.lock").read_text(), re.MULTILINE
    )

    assert {"hatchling", "editables"} <= set(pins)
