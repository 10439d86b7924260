"""Parts by themselves: Leases as seen here, the extender's answers, kept answers, sessions."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import pytest

from insight.access.kept import Kept
from insight.access.reviews import ApiReviews, User
from insight.access.sessions import MOST_SESSIONS, Sessions
from insight.answers import RefusalError
from insight.explanations.extender_client import ExtenderClient
from insight.overview.lease_ages import LeaseAges
from k40s.errors import UnavailableError, UnreadableError
from k40s.explanation.json import format_explanation
from k40s.explanation.model import Explanation
from k40s.kube.records import LeaseRecord
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.world import START, FakeClock

if TYPE_CHECKING:
    from k40s.http.client import HttpClient

BEHIND = START - timedelta(seconds=500)
EMPTY = Explanation(namespace="mine", pod="loop", criticality="HI", fault=None, nodes=())


def lease(renewed: datetime | None) -> LeaseRecord:
    return LeaseRecord(
        name="malacoda-node", holder="node", renewed=renewed, duration=Nanoseconds(30 * NS_PER_S)
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_listed_renewal_is_as_old_as_its_node_says(clock: FakeClock) -> None:
    ages = LeaseAges(wall=clock.wall)

    ages.replace([lease(BEHIND)])

    assert ages.values()[0].renewed == BEHIND


def test_a_renewal_that_is_seen_counts_from_then_whatever_the_nodes_clock(
    clock: FakeClock,
) -> None:
    ages = LeaseAges(wall=clock.wall)
    ages.replace([lease(BEHIND)])
    clock.advance(10)
    seen = clock.wall()
    renewed = BEHIND + timedelta(seconds=10)

    ages.upsert(lease(renewed))
    clock.advance(10)
    ages.upsert(replace(lease(renewed), holder="other"))
    ages.replace([lease(renewed)])

    assert ages.values()[0].renewed == seen


def test_leases_come_and_go(clock: FakeClock) -> None:
    ages = LeaseAges(wall=clock.wall)
    ages.upsert(lease(None))
    ages.merge([replace(lease(BEHIND), name="rubicante-node")])

    ages.delete("malacoda-node")
    assert [one.name for one in ages.values()] == ["rubicante-node"]
    ages.replace([])
    assert ages.values() == ()


class Answering:
    """An extender that gives one answer."""

    def __init__(self, status: int, text: str) -> None:
        self._answer = (status, text.encode())

    def request(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        assert (method, path) == ("POST", "/scheduler/explain")
        assert b'"NodeNames": ["node"]' in body
        return self._answer


def explain(status: int, text: str, *, pod: Mapping[str, Any] | None = None) -> Explanation:
    client = ExtenderClient(cast("HttpClient", Answering(status, text)))
    return client.explain(pod or {}, ["node"])


def test_the_extenders_explanation_is_read() -> None:
    assert explain(HTTPStatus.OK, format_explanation(EMPTY)) == EMPTY


@pytest.mark.parametrize(
    ("status", "text"), [(200, "{}"), (200, "x"), (503, "busy"), (403, "no"), (404, "none")]
)
def test_any_other_answer_is_one_of_an_extender_that_is_away(status: int, text: str) -> None:
    with pytest.raises(UnavailableError, match="POST /scheduler/explain"):
        explain(status, text)


@pytest.mark.parametrize("text", ['{"error": "the pod has no name"}', "the pod has no name"])
def test_a_pod_that_the_extender_cannot_read_is_the_callers_mistake(text: str) -> None:
    with pytest.raises(RefusalError, match=r"^the pod has no name$") as refused:
        explain(HTTPStatus.BAD_REQUEST, text)

    assert refused.value.status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_manifest_that_is_nested_too_deeply_is_the_callers_mistake() -> None:
    nested: dict[str, object] = {}
    for _ in range(sys.getrecursionlimit()):
        nested = {"a": nested}

    with pytest.raises(RefusalError, match="nested too deeply"):
        explain(200, "{}", pod=nested)


def test_the_answer_that_was_used_longest_ago_goes_first(clock: FakeClock) -> None:
    kept: Kept[str, int] = Kept(lifetime=Nanoseconds(NS_PER_S), capacity=2, clock=clock.monotonic)
    kept.put("a", 1)
    kept.put("b", 2)
    kept.find("a")
    kept.put("c", 3)

    assert [kept.find(key) for key in "abc"] == [(1,), None, (3,)]
    clock.advance(1)
    assert kept.find("a") is None


def test_of_too_many_sessions_the_oldest_of_the_user_with_the_most_ends(
    clock: FakeClock,
) -> None:
    sessions = Sessions(lifetime=Nanoseconds(3600 * NS_PER_S), clock=clock.monotonic)
    first = sessions.begin("token", User(name="few"), reviewed=0)
    many = [
        sessions.begin("token", User(name=f"user-{number // 16}"), reviewed=0)
        for number in range(MOST_SESSIONS - 1)
    ]

    sessions.begin("token", User(name="new"), reviewed=0)

    assert len(sessions) == MOST_SESSIONS
    assert sessions.find(first) is not None
    assert sum(sessions.find(one) is None for one in many) == 1


class Saying:
    """An API server that gives one answer."""

    def __init__(self, answer: dict[str, object]) -> None:
        self._answer = answer

    def request(self, *_words: object, **_more: object) -> dict[str, object]:
        return self._answer


@pytest.mark.parametrize(
    "answer", [{}, {"status": []}, {"status": {"authenticated": True, "user": {}}}]
)
def test_an_answer_that_is_no_review_authenticates_nobody(answer: dict[str, object]) -> None:
    with pytest.raises(UnreadableError):
        ApiReviews(Saying(answer)).authenticate("token")


def test_a_users_groups_and_extra_are_asked_about_too() -> None:
    user = {"username": "u", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}}

    found = ApiReviews(Saying({"status": {"authenticated": True, "user": user}})).authenticate("t")

    assert found == User(name="u", uid="1", groups=("g",), extra=(("k", ("v",)),))
