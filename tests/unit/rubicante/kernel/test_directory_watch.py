from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.rubicante.kernel.directory_watch import DirectoryWatch


@pytest.fixture
def watch() -> Iterator[DirectoryWatch]:
    made = DirectoryWatch()
    yield made
    made.close()


def test_a_new_directory_ends_the_wait(watch: DirectoryWatch, tmp_path: Path) -> None:
    assert watch.follow({tmp_path}) == {tmp_path}

    (tmp_path / "pod").mkdir()

    assert watch.wait(120) == {tmp_path}
    assert watch.wait(0) == frozenset()


def test_following_the_same_again_adds_nothing(watch: DirectoryWatch, tmp_path: Path) -> None:
    watch.follow({tmp_path})

    assert not watch.follow({tmp_path})


def test_what_is_no_longer_followed_is_not_heard(watch: DirectoryWatch, tmp_path: Path) -> None:
    watch.follow({tmp_path})
    assert not watch.follow(set())
    watch.wait(0)

    (tmp_path / "pod").mkdir()

    assert not watch.wait(0)


def test_a_directory_that_is_gone_is_not_followed(watch: DirectoryWatch, tmp_path: Path) -> None:
    assert not watch.follow({tmp_path / "absent"})


def test_a_directory_made_again_is_followed_again(watch: DirectoryWatch, tmp_path: Path) -> None:
    pod = tmp_path / "pod"
    pod.mkdir()
    watch.follow({pod})
    pod.rmdir()
    assert watch.wait(120)
    pod.mkdir()

    assert watch.follow({pod})

    (pod / "container").mkdir()
    assert watch.wait(120)


def test_forgetting_a_directory_that_went_first_is_no_error(
    watch: DirectoryWatch, tmp_path: Path
) -> None:
    pod = tmp_path / "pod"
    pod.mkdir()
    watch.follow({pod})
    pod.rmdir()

    assert not watch.follow(set())


def test_a_directory_that_cannot_be_watched_keeps_no_other_and_is_told_once(
    watch: DirectoryWatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused = {tmp_path / (name * 300) for name in "ab"}

    assert watch.follow({tmp_path, *refused}) == {tmp_path}
    assert watch.follow({tmp_path, *refused}) == frozenset()

    (tmp_path / "pod").mkdir()
    assert watch.wait(120) == {tmp_path}
    assert [record.message for record in caplog.records] == ["directory not watched"]


def test_ringing_ends_the_wait(watch: DirectoryWatch) -> None:
    watch.ring()
    watch.ring()

    assert watch.wait(120) == frozenset()


def test_ringing_and_closing_after_the_end_do_nothing(tmp_path: Path) -> None:
    watch = DirectoryWatch()
    watch.follow({tmp_path})
    watch.close()

    watch.ring()
    watch.close()
