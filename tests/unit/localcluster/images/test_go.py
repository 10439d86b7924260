from pathlib import Path

import pytest

from localcluster.errors import LocalClusterError
from localcluster.images.go_toolchain import find_go, parse_go_version


def make_go(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8\n", (1, 26, 8)), ("1.25.0", (1, 25, 0)), ("go1.26rc1", (1, 26)), ("devel", ())],
)
def test_a_go_version_is_read(text: str, version: tuple[int, ...]) -> None:
    assert parse_go_version(text) == version


def test_the_machines_go_is_taken_when_it_is_new_enough(tmp_path: Path) -> None:
    go = make_go(tmp_path / "go", "go1.26.8")

    assert find_go(tmp_path, needed=(1, 25, 0), find=lambda _name: str(go)) == go


def test_an_old_go_is_passed_over_for_the_one_in_the_cache(tmp_path: Path) -> None:
    old = make_go(tmp_path / "go", "go1.19.8")
    cached = make_go(tmp_path / "go-toolchain/bin/go", "go1.26.6")

    assert find_go(tmp_path, needed=(1, 25, 0), find=lambda _name: str(old)) == cached


def test_without_any_go_the_error_says_what_to_install(tmp_path: Path) -> None:
    make_go(tmp_path / "go-toolchain/bin/go", "go1.19.8")

    with pytest.raises(LocalClusterError, match=r"Go 1\.25\.0 or later.*--binaries"):
        find_go(tmp_path, needed=(1, 25, 0), find=lambda _name: None)
