"""Claims of pods that preempt others."""

import json

import pytest

from k40s.annotations import Claim, Victim, format_claim, parse_claim
from k40s.errors import InvalidAnnotationError

CLAIM = Claim(
    node="edge-1",
    at=1_790_000_000_000_000_000,
    until=1_790_000_060_000_000_000,
    victims=(Victim(namespace="plant", name="video-0", uid="u-1"),),
)


def test_a_claim_is_written_and_read() -> None:
    assert parse_claim(format_claim(CLAIM)) == CLAIM


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"v": 2}, "$.v"),
        ({"node": ""}, "$.node"),
        ({"until": "2020-01-01T00:00:00Z"}, "$.until"),
        ({"at": "yesterday"}, "$.at"),
        ({"victims": [{"namespace": "a", "name": "b"}]}, "$.victims[0]"),
        ({"victims": [{"namespace": "a", "name": "b", "uid": "u"}] * 2}, "$.victims"),
    ],
)
def test_a_claim_that_is_written_wrongly_names_its_field(
    change: dict[str, object], named: str
) -> None:
    text = json.dumps(json.loads(format_claim(CLAIM)) | change)

    with pytest.raises(InvalidAnnotationError) as raised:
        parse_claim(text)

    assert named in str(raised.value)
