"""Requests to evict culprits on a Node."""

import json

import pytest

from k40s.annotations import Culprit, format_culprits, parse_culprits
from k40s.assurance.metrics import Metric
from k40s.assurance.response.acts import Cause
from k40s.errors import InvalidAnnotationError

AT = 1_790_000_000_000_000_000
ASKED = Culprit(uid="u-1", at=AT, rule=Cause.RELAPSED, hazards=(Metric.CPU_SYSTEM,), harmed=True)
UNTOLD = Culprit(uid="u-2", at=AT, rule=Cause.ESCALATED)


def test_requests_are_written_and_read() -> None:
    assert parse_culprits(format_culprits((ASKED, UNTOLD))) == (ASKED, UNTOLD)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"uid": ""}, "$.culprits[0].uid"),
        ({"at": "yesterday"}, "$.culprits[0].at"),
        ({"rule": "guessed"}, "$.culprits[0].rule"),
        ({"hazards": ["heat"]}, "$.culprits[0].hazards[0]"),
        ({"harmed": "no"}, "$.culprits[0].harmed"),
    ],
)
def test_a_request_that_is_written_wrongly_names_its_field(
    change: dict[str, object], named: str
) -> None:
    document = json.loads(format_culprits((ASKED,)))
    document["culprits"][0] |= change

    with pytest.raises(InvalidAnnotationError) as raised:
        parse_culprits(json.dumps(document))

    assert named in str(raised.value)


def test_each_pod_is_asked_for_once() -> None:
    with pytest.raises(InvalidAnnotationError, match="each pod once"):
        parse_culprits(format_culprits((ASKED, ASKED)))
