"""Where bound pods run, and which pods are gone."""

import pytest

from extender.cache.pod_places import PodPlaces
from tests.fakes.extender.world import make_pod_record


class Heard:
    def __init__(self) -> None:
        self.gone: list[str] = []
        self.placed = 0

    def place(self) -> None:
        self.placed += 1


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def places(heard: Heard) -> PodPlaces:
    return PodPlaces(on_gone=heard.gone.append, on_placed=heard.place)


def test_a_pod_is_found_once_it_is_bound(places: PodPlaces) -> None:
    places.feed.upsert(make_pod_record("u", name="db"))
    before = places.find("default/db")
    places.feed.upsert(make_pod_record("u", name="db", node="a"))

    assert before is None
    assert places.find("default/db") == "a"
    assert places.find("other/db") is None


def test_who_asked_in_vain_is_told_once_the_pod_is_placed(places: PodPlaces, heard: Heard) -> None:
    places.feed.upsert(make_pod_record("v", name="other", node="a"))
    places.find("default/db")
    places.feed.upsert(make_pod_record("u", name="db", node="a"))
    places.feed.upsert(make_pod_record("u", name="db", node="a", resource_version="2"))

    assert heard.placed == 1


def test_a_pod_that_was_just_bound_is_found_before_the_watch_reports_it(places: PodPlaces) -> None:
    places.feed.upsert(make_pod_record("u", name="db"))
    places.assume("u", "default/db", "a")
    places.feed.upsert(make_pod_record("u", name="db", resource_version="2"))

    assert places.find("default/db") == "a"


def test_a_pod_that_was_bound_after_it_went_is_not_placed(places: PodPlaces) -> None:
    places.feed.upsert(make_pod_record("u", name="db"))
    places.feed.delete("u")
    places.assume("u", "default/db", "a")

    assert places.find("default/db") is None


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_gone(places: PodPlaces, heard: Heard, phase: str) -> None:
    places.feed.upsert(make_pod_record("u", name="db", node="a"))
    places.feed.upsert(make_pod_record("u", name="db", node="a", phase=phase))

    assert places.find("default/db") is None
    assert heard.gone == ["u"]


def test_a_deleted_pod_is_gone_even_if_it_was_never_seen(places: PodPlaces, heard: Heard) -> None:
    places.feed.delete("u")

    assert heard.gone == ["u"]


def test_a_new_pod_of_the_same_name_stays_when_the_old_one_goes(places: PodPlaces) -> None:
    places.feed.upsert(make_pod_record("old", name="db", node="a"))
    places.feed.upsert(make_pod_record("new", name="db", node="b"))
    places.feed.delete("old")

    assert places.find("default/db") == "b"


def test_a_list_tells_which_known_pods_are_gone_and_keeps_the_unknown_ones(
    places: PodPlaces, heard: Heard
) -> None:
    places.feed.replace([make_pod_record("u", name="db", node="a"), make_pod_record("v")])
    places.feed.replace([make_pod_record("w", name="new", node="b")])

    assert sorted(heard.gone) == ["u", "v"]
    assert places.find("default/db") is None
    assert places.find("default/new") == "b"


def test_an_incomplete_list_removes_nothing(places: PodPlaces, heard: Heard) -> None:
    places.feed.upsert(make_pod_record("u", name="db", node="a"))
    places.feed.merge([make_pod_record("v", name="new", node="b")])

    assert heard.gone == []
    assert places.find("default/db") == "a"
