"""What the wheels and the image hold: k40s for a cluster, and the local cluster beside it."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[2]
_CLUSTER = {"k40s", "extender", "controller", "webhook", "insight", "daemons", "workbench", "cli"}
_LOCAL = {"localcluster", "demo"}
_IMAGE = {"k40s", "extender", "controller", "webhook", "insight", "daemons"}


def _build(project: Path, target: Path, *, kind: str = "wheel") -> Path:
    """Build with the locked hatchling, by the hook that pip calls, and without an index."""
    hook = f"from hatchling.build import build_{kind} as b; import sys; print(b(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", hook, target],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return target / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheels ``k40s`` and ``k40s-local``."""
    target = tmp_path_factory.mktemp("wheels")
    return _build(_PROJECT, target), _build(_PROJECT / "distributions/k40s-local", target)


def _files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def _packages(files: set[str]) -> set[str]:
    return {name.partition("/")[0] for name in files}


def _sources(packages: set[str]) -> set[str]:
    """All files of packages in the checkout, but for compiled ones."""
    return {
        str(path.relative_to(_PROJECT))
        for package in packages
        for path in (_PROJECT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_each_wheel_holds_its_packages_whole(wheels: tuple[Path, Path]) -> None:
    cluster, local = map(_files, wheels)

    assert _packages(cluster) == _CLUSTER
    assert _packages(local) == _LOCAL
    assert cluster == _sources(_CLUSTER)
    assert local == _sources(_LOCAL)


def test_the_wheels_together_hold_every_package_that_is_checked() -> None:
    tool = tomllib.loads((_PROJECT / "pyproject.toml").read_text())["tool"]

    assert set(tool["mypy"]["packages"]) == _CLUSTER | _LOCAL | {"bench", "monitoring"}
    assert set(tool["importlinter"]["root_packages"]) == _CLUSTER | _LOCAL | {"monitoring"}


def test_the_extra_is_the_other_wheel_of_the_same_version(wheels: tuple[Path, Path]) -> None:
    cluster, local = map(_metadata, wheels)
    version = cluster["Version"]

    assert local["Version"] == version
    assert f"k40s-local=={version}; extra == 'local'" in cluster.get_all("Requires-Dist", [])
    assert f"k40s=={version}" in local.get_all("Requires-Dist", [])


def test_an_editable_install_has_every_package_of_the_checkout(tmp_path: Path) -> None:
    with zipfile.ZipFile(_build(_PROJECT, tmp_path, kind="editable")) as archive:
        paths = [archive.read(name).decode() for name in archive.namelist() if ".pth" in name]

    assert set("\n".join(paths).split()) == {str(_PROJECT)}


def _run(words: list[str], *wheels: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run ``k40s`` from unpacked wheels; no ``.pth`` file adds the checkout to them."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
    path = os.pathsep.join([str(tmp_path), sysconfig.get_path("purelib")])
    return subprocess.run(
        [sys.executable, "-S", "-c", "from cli.main import main; main()", *words],
        cwd=tmp_path,
        env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize("command", ["local", "demo"])
def test_a_command_without_its_extra_names_it(
    command: str, wheels: tuple[Path, Path], tmp_path: Path
) -> None:
    done = _run([command, "--help"], wheels[0], tmp_path=tmp_path)

    assert done.returncode == 2
    assert done.stderr == (
        f"Error: k40s {command} needs the extra local: pip install 'k40s[local]'\n"
    )


def test_all_commands_are_listed_without_the_extra(
    wheels: tuple[Path, Path], tmp_path: Path
) -> None:
    done = _run(["--help"], wheels[0], tmp_path=tmp_path)

    assert done.returncode == 0
    assert re.search(r"^  local +Run a real Kubernetes", done.stdout, re.MULTILINE)
    assert re.search(r"^  demo +Bring up a local Kubernetes", done.stdout, re.MULTILINE)


def test_with_the_extra_its_commands_are_there(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    done = _run(["local", "--help"], *wheels, tmp_path=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "Bring a cluster up" in done.stdout


def test_the_image_holds_the_processes_alone() -> None:
    dockerfile = (_PROJECT / "Dockerfile").read_text()
    context = (_PROJECT / ".dockerignore").read_text().splitlines()

    assert set(re.findall(r"^COPY (\S+) /build/", dockerfile, re.MULTILINE)) == _IMAGE
    allowed = {line.removeprefix("!") for line in context if line.startswith("!")}
    assert allowed == {*_IMAGE, "requirements-runtime.lock"}
