import math

import pytest

from k40s.assurance.exposition import MOST_SERIES, find_values

PAGE = b"""# HELP latency_seconds Activation latency
# TYPE latency_seconds gauge
latency_seconds 0.004
latency_seconds_max 9
my_latency_seconds 8
latency{quantile="0.5",pod="a"} 1e-3
latency{ pod="a", quantile = "0.99" , } 0.02 1700000000000
latency{quantile="0.99",pod="b\\"}c\\\\"} +Inf
other NaN"""


def test_the_value_of_a_metric_without_labels() -> None:
    assert find_values(PAGE, "latency_seconds", {}) == [0.004]


def test_labels_choose_among_series_and_none_means_all() -> None:
    assert find_values(PAGE, "latency", {"quantile": "0.99"}) == [0.02, math.inf]
    assert find_values(PAGE, "latency", {"quantile": "0.99", "pod": "a"}) == [0.02]
    assert len(find_values(PAGE, "latency", {})) == 3
    assert find_values(PAGE, "latency", {"pod": 'b"}c\\'}) == [math.inf]


def test_a_metric_that_is_absent_has_no_values() -> None:
    assert find_values(PAGE, "latency_seconds", {"quantile": "0.5"}) == []
    assert find_values(PAGE, "laten", {}) == []
    assert find_values(b"", "latency", {}) == []
    assert find_values(b"# latency 5\n", "latency", {}) == []


def test_the_last_line_may_lack_its_end_and_a_value_may_be_no_number() -> None:
    assert math.isnan(find_values(PAGE, "other", {})[0])


@pytest.mark.parametrize(
    "line",
    [
        b"m",
        b"m ",
        b"m five",
        b"m 0x10",
        b"m 1_000",
        b"m 1e9999",
        b'm{a="x" 1',
        b"m{a=x} 1",
        b"m{",
        b"m " + b"9" * 100_000 + b"x",
    ],
)
def test_a_line_of_the_metric_that_cannot_be_read_is_an_error(line: bytes) -> None:
    if line == b"m":
        assert find_values(line, "m", {}) == []
        return
    with pytest.raises(ValueError, match=r"cannot be read|no number"):
        find_values(line, "m", {})


def test_what_is_no_text_elsewhere_does_not_matter() -> None:
    assert find_values(b"\xff\x00 junk {{{\nm 1\n\xfe", "m", {}) == [1.0]


def test_too_many_series_are_refused() -> None:
    page = b'm{a="x"} 1\n' * (MOST_SERIES + 1)

    with pytest.raises(ValueError, match=f"more than {MOST_SERIES} series"):
        find_values(page, "m", {})


def test_too_many_lines_of_other_metrics_whose_names_begin_so_are_refused() -> None:
    with pytest.raises(ValueError, match="lines that begin so"):
        find_values(b"m_x 1\n" * 5000, "m", {})
