"""The JSON of overviews is ``asdict`` and is read strictly."""

import json
from dataclasses import asdict

import pytest

from k40s.errors import InvalidInputError
from k40s.overview.json import format_overview, parse_overview
from tests.fakes.observed_cluster import crowded


def test_it_is_asdict() -> None:
    overview = crowded(2, 20).overview()

    assert json.loads(format_overview(overview)) == json.loads(json.dumps(asdict(overview)))


def test_it_is_read_back() -> None:
    overview = crowded(2, 20).overview()

    assert parse_overview(format_overview(overview)) == overview


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"nodes": 3}, "$.nodes"),
        ({"more": 1}, "$.more"),
        ({"nodes": [{"name": "edge"}]}, "$.nodes[0].ready"),
        ({"unreadable": [None]}, "$.unreadable[0]"),
    ],
)
def test_the_place_of_a_mistake_is_named(change: dict[str, object], named: str) -> None:
    written = json.loads(format_overview(crowded(0, 0).overview())) | change

    with pytest.raises(InvalidInputError) as error:
        parse_overview(json.dumps(written))

    assert error.value.path == named
