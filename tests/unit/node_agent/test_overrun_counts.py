"""The file between two daemons: what is written reads back, anything else has one clear error."""

import pytest

from k40s.errors import InvalidInputError
from k40s.node_agent.overrun_counts import MOST_COUNTED, format_counts, parse_counts


@pytest.mark.parametrize("counts", [{}, {"u-1": 0}, {"u-1": 3, "u-2": MOST_COUNTED}])
def test_what_is_written_reads_back(counts: dict[str, int]) -> None:
    assert parse_counts(format_counts(counts), source="f") == counts


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "JSON"),
        ("[]", "an object"),
        ('{"v":2,"overruns":{}}', "a whole number from 1 to 1"),
        ('{"v":1}', "this field"),
        ('{"v":1,"overruns":[]}', "an object"),
        ('{"v":1,"overruns":{"u":-1}}', "a whole number from 0"),
        ('{"v":1,"overruns":{"u":true}}', "a whole number from 0"),
        ('{"v":1,"overruns":{"u":1,"u":2}}', "each field once"),
        ('{"v":1,"overruns":{"a b":1}}', "a pod's uid"),
        ('{"v":1,"overruns":{},"x":1}', "only v, overruns"),
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(text: str, error: str) -> None:
    with pytest.raises(InvalidInputError, match=error):
        parse_counts(text, source="f")
