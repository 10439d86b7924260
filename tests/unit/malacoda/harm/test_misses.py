"""Overruns that another daemon counts: fresh, absent, stale and not understood."""

import logging
from pathlib import Path

import pytest

from daemons.malacoda.harm.misses import OverrunFile
from daemons.rubicante.monitoring.overrun_counts import OverrunCounts
from tests.fakes.malacoda.world import FakeClock


class World:
    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.path = directory / "counts.json"
        self.counts = OverrunCounts(self.path)
        self.file = OverrunFile(self.path, clock=self.clock)

    def look(self, *uids: str) -> dict[str, int]:
        """What rubicante writes each second, and malacoda reads then."""
        self.clock.pass_seconds(1)
        self.counts.write(uids)
        return self.file.read()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_overruns_are_counted_by_pod_from_its_first_second_on(world: World) -> None:
    first = world.look("a", "b")
    world.counts.add("a")
    world.counts.add("a")

    assert (first, world.look("a", "b")) == ({"a": 0, "b": 0}, {"a": 2, "b": 0})


def test_a_pod_that_is_gone_is_forgotten(world: World) -> None:
    world.counts.add("a")
    world.look("a")
    world.look("b")

    assert world.look("a", "b") == {"a": 0, "b": 0}


def test_where_no_rubicante_runs_there_are_no_counts(world: World) -> None:
    assert world.file.read() == {}
    assert OverrunFile(None, clock=world.clock).read() == {}
    assert world.file.missed == 0


def test_counts_that_nobody_renews_tell_nothing(world: World) -> None:
    world.look("a")
    world.clock.pass_seconds(4.9)
    fresh = world.file.read()
    world.clock.pass_seconds(0.1)

    assert (fresh, world.file.read()) == ({"a": 0}, {})
    assert world.look("a") == {"a": 0}


def test_a_file_that_is_gone_tells_nothing(world: World) -> None:
    world.look("a")
    world.path.unlink()

    assert world.file.read() == {}


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"v":1,"overruns":{"a":1.5}}', b"x" * 2**21])
def test_one_that_is_not_understood_is_counted_and_logged_once(
    world: World, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        other = world.path.with_name(f"other-{number}")
        other.write_bytes(content)
        other.replace(world.path)
        world.clock.pass_seconds(1)
        assert world.file.read() == {}

    assert world.file.missed == 3
    assert [record.message for record in caplog.records] == ["overrun counts not understood"]


def test_it_is_readable_for_another_user_and_leaves_no_second_file(world: World) -> None:
    world.look("a")

    assert world.path.stat().st_mode & 0o777 == 0o644
    assert list(world.path.parent.iterdir()) == [world.path]


def test_a_place_that_cannot_be_written_is_logged_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counts = OverrunCounts(tmp_path / "none" / "counts.json")

    with caplog.at_level(logging.WARNING):
        counts.write(["a"])
        counts.write(["a"])

    assert [record.message for record in caplog.records] == ["overrun counts not written"]


def test_without_a_place_nothing_is_written() -> None:
    OverrunCounts(None).write(["a"])
