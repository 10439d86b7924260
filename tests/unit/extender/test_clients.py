"""Which client may call which verb."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import pytest

from extender.__main__ import restrictions
from extender.app import PREFIX
from extender.settings import ExtenderSettings
from k40s.http.middleware import Guard
from k40s.runtime.settings import SettingsError, read_settings
from tests.fakes.extender.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ALLOWED = {
    "k40s-scheduler": {verb.name for verb in World().verbs},
    "k40s-controller": {"dry-run", "preemption-plan"},
    "k40s-insight": {"explain"},
    "k40s-extender": set(),
}


def served(_environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b""]


def note(statuses: list[str], status: str, _headers: object) -> None:
    statuses.append(status)


@pytest.mark.parametrize("client", ALLOWED)
def test_each_client_calls_its_verbs_and_no_other(client: str) -> None:
    restricted = restrictions(ExtenderSettings())
    guard = Guard(
        served,
        allowed=frozenset({"k40s-scheduler", *restricted}),
        peer_name=lambda _: client,
        restricted=restricted,
    )
    answered = set()
    for verb in World().verbs:
        statuses: list[str] = []
        environ = {"PATH_INFO": f"{PREFIX}/{verb.name}", "gunicorn.socket": None}
        guard(environ, partial(note, statuses))  # type: ignore[arg-type]  # nobody writes a body
        if statuses == ["200 OK"]:
            answered.add(verb.name)

    assert answered == ALLOWED[client]


@pytest.mark.parametrize("name", ["k40s-scheduler", "k40s-controller"])
def test_insight_has_a_name_of_its_own(name: str) -> None:
    with pytest.raises(SettingsError, match="K40S_INSIGHT_NAME"):
        read_settings(ExtenderSettings, {"K40S_INSIGHT_NAME": name})
