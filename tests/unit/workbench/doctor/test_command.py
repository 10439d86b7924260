"""``k40s doctor``: options, exit statuses and forms of output."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.doctor import doctor

DEBIAN = "tests/fixtures/kernels/debian-13.config"
BUILT = "tests/fixtures/kernels/built-6.18.config"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(doctor, arguments)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--config", DEBIAN, "--cgroup-version", "2"), 0),
        (("--config", DEBIAN, "--need", "deadline"), 0),
        (("--config", DEBIAN, "--need", "rt-cgroup"), 1),
        (("--config", DEBIAN, "--need", "rt-cgroup", "--need", "deadline"), 1),
        (("--config", BUILT, "--need", "rt-cgroup"), 3),
        (("--config", BUILT, "--need", "rt-cgroup", "--cgroup-version", "1"), 0),
        (("--config", BUILT, "--need", "rt-cgroup", "--cgroup-version", "2"), 1),
        (("--config", BUILT, "--need", "tdma"), 2),
        (("--config", "/does/not/exist"), 2),
        (("--config", DEBIAN, "--root", "/proc"), 2),
        (("--release", "6.1"), 2),
        (("--config", DEBIAN, "--release", "new"), 2),
        (("--cgroup-version", "2"), 2),
        (("--root", "/does/not/exist"), 2),
        (("--config", "README.md"), 2),
    ],
)
def test_the_exit_status_says_whether_what_is_needed_is_there(
    arguments: tuple[str, ...], status: int
) -> None:
    assert run(*arguments).exit_code == status


def test_an_empty_root_cannot_be_judged(tmp_path: Path) -> None:
    result = run("--root", str(tmp_path))

    assert result.exit_code == 3
    assert "any needed: cannot be judged" in result.output
    assert result.output.startswith("unknown kernel\n")


def test_nothing_is_said_of_an_empty_root(tmp_path: Path) -> None:
    findings = json.loads(run("--root", str(tmp_path), "-o", "json").output)["findings"]

    told = [one["subject"] for one in findings if one["level"] != "unknown"]
    assert told == []


def test_a_release_without_a_version_is_named_with_what_would_be_right() -> None:
    result = run("--config", DEBIAN, "--release", "new")

    assert result.output == "error: --release: 'new' has no version, such as 6.12.1\n"


def test_this_machine_is_judged_without_an_error() -> None:
    assert run().exit_code in (0, 1, 3)


def test_every_form_of_output_says_the_same() -> None:
    arguments = ("--config", DEBIAN, "--cgroup-version", "2")
    as_json = json.loads(run(*arguments, "-o", "json").output)
    as_yaml = yaml.safe_load(run(*arguments, "-o", "yaml").output)

    assert as_json == as_yaml
    assert as_json["mechanisms"] == ["deadline"]
    assert as_json["needs"] == {"any": True}
    for found in as_json["findings"]:
        assert found["subject"] in run(*arguments).output


def test_what_would_change_something_is_on_one_line() -> None:
    lines = run("--config", BUILT, "--cgroup-version", "2").output.splitlines()

    remedies = [line for line in lines if "change: " in line]
    assert any(line.endswith("failCgroupV1: false for kubelet 1.35") for line in remedies)


def test_the_release_may_be_told_with_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("CONFIG_CPUSETS=y\nCONFIG_HZ=250\n")

    old = run("--config", str(file), "--release", "6.1.0", "--cgroup-version", "2").output
    new = run("--config", str(file), "--release", "6.12.0", "--cgroup-version", "2").output

    assert "needs another kernel: 6.7 or newer" in old
    assert "cpuset partitions of cgroup v2" in new
