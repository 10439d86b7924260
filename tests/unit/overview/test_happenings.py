"""Every Event that our processes write has its place in the time line."""

import pytest

from controller.events import COMPONENT as CONTROLLER
from controller.metrics import EventReason as ControllerReason
from daemons.malacoda.culprit.events import COMPONENT as MALACODA
from daemons.malacoda.culprit.events import EventReason as MalacodaReason
from daemons.rubicante.cluster.pod_events import COMPONENT as RUBICANTE
from daemons.rubicante.cluster.pod_events import EventReason as RubicanteReason
from daemons.scarmiglione.cluster.events import COMPONENT as SCARMIGLIONE
from daemons.scarmiglione.cluster.events import EventReason as ScarmiglioneReason
from extender.monitoring import unadmitted, unreached
from extender.monitoring.owner_events import COMPONENT as EXTENDER
from k40s.overview.happenings import REPORTERS, kind_of

KINDS = {
    *("alarm", "suspect", "act", "level", "move", "preemption", "refusal", "kernel", "network"),
    "other",
}


def test_all_reporters_are_listened_to() -> None:
    ours = {CONTROLLER, MALACODA, RUBICANTE, SCARMIGLIONE, EXTENDER}

    assert ours | {"k40s-scheduler"} == set(REPORTERS)


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        *((CONTROLLER, reason.value) for reason in ControllerReason),
        *((MALACODA, reason.value) for reason in MalacodaReason if reason != "MetricUnreadable"),
        *((RUBICANTE, reason.value) for reason in RubicanteReason),
        *((SCARMIGLIONE, reason.value) for reason in ScarmiglioneReason),
        *((EXTENDER, reason) for reason in (unadmitted.EVENT, unreached.EVENT)),
    ],
)
def test_every_reason_has_a_kind_of_its_own(component: str, reason: str) -> None:
    assert kind_of(component, reason) in KINDS - {"other"}


def test_what_is_new_is_other() -> None:
    assert kind_of(MALACODA, "Unheard") == "other"
