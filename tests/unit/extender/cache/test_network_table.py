"""The watched Networks: only newer versions count, and no reservation of a pod that is gone."""

from dataclasses import replace

import pytest

from extender.cache.networks import NetworkTable
from k40s.kube.records import NetworkRecord
from k40s.ledger.entry import Owner
from k40s.network.model import NetworkReservation
from tests.fakes.extender.networks import FakeNetworks, make_lan, make_tdma


class Listener:
    def __init__(self) -> None:
        self.changes = 0

    def __call__(self) -> None:
        self.changes += 1


@pytest.fixture
def heard() -> Listener:
    return Listener()


@pytest.fixture
def table(heard: Listener) -> NetworkTable:
    return NetworkTable(on_change=heard, gone=2)


def entry(uid: str) -> NetworkReservation:
    return NetworkReservation(owner=Owner(uid=uid, namespace="default", name=uid), node="a")


def record(api: FakeNetworks, *uids: str, name: str = "plant") -> NetworkRecord:
    if name not in api.states:
        api.declare(make_tdma(name))
    api.write(name, [entry(uid) for uid in uids])
    return next(one for one in api.records() if one.name == name)


def held(table: NetworkTable, name: str = "plant") -> list[str]:
    return [one.owner.uid for one in table.states()[name].reservations]


def test_nothing_is_known_before_the_first_list(table: NetworkTable) -> None:
    before = table.listed
    table.feed.replace([])

    assert (before, table.listed) == (False, True)


def test_an_older_version_changes_nothing(table: NetworkTable, heard: Listener) -> None:
    api = FakeNetworks()
    old, new = record(api, "x"), record(api, "x", "y")
    table.feed.upsert(new)

    table.feed.upsert(old)

    assert held(table) == ["x", "y"]
    assert heard.changes == 1


def test_a_version_of_more_digits_is_newer(table: NetworkTable) -> None:
    known = record(FakeNetworks(), "x")
    table.feed.upsert(replace(known, state=replace(known.state, resource_version="999")))
    table.feed.upsert(replace(known, state=replace(known.state, resource_version="1000")))

    assert table.states()["plant"].resource_version == "1000"


def test_what_was_written_here_counts_before_the_watch_reports_it(table: NetworkTable) -> None:
    api = FakeNetworks()
    table.feed.replace([record(api)])

    newest = table.put(record(api, "x").state)

    assert newest is table.states()["plant"]
    assert held(table) == ["x"]


def test_a_late_answer_does_not_bring_back_a_network_that_is_gone(table: NetworkTable) -> None:
    api = FakeNetworks()
    table.feed.replace([record(api)])
    table.feed.delete("plant")

    table.put(record(api, "x").state)

    assert table.states() == {}


def test_a_list_removes_what_is_missing_and_keeps_what_is_newer(table: NetworkTable) -> None:
    api = FakeNetworks()
    listed, other = record(api, "x"), record(api, name="other")
    table.feed.replace([listed, other])
    table.put(record(api, "x", "y").state)

    table.feed.replace([listed])

    assert table.states().keys() == {"plant"}
    assert held(table) == ["x", "y"]


def test_what_a_pod_that_is_gone_holds_does_not_count(table: NetworkTable, heard: Listener) -> None:
    api = FakeNetworks()
    table.feed.replace([record(api, "x", "y"), api.declare(make_lan())])
    lan = table.states()["lan"]
    before = heard.changes

    table.pod_gone("x")

    assert held(table) == ["y"]
    assert heard.changes == before + 1
    assert table.states()["lan"] is lan
    table.feed.upsert(record(api, "x", "y", "z"))
    assert held(table) == ["y", "z"]


def test_a_pod_without_reservations_changes_nothing_when_it_goes(
    table: NetworkTable, heard: Listener
) -> None:
    table.feed.replace([record(FakeNetworks(), "x")])
    state, before = table.states()["plant"], heard.changes

    table.pod_gone("nobody")

    assert table.states()["plant"] is state
    assert heard.changes == before


def test_the_oldest_of_many_that_are_gone_are_left_to_the_controller(table: NetworkTable) -> None:
    for uid in "xyz":
        table.pod_gone(uid)

    table.feed.upsert(record(FakeNetworks(), "x", "y", "z"))

    assert held(table) == ["x"]
