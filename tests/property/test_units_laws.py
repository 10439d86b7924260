from hypothesis import given
from hypothesis import strategies as st

from k40s.units import format_duration, parse_duration


@given(st.integers(min_value=0, max_value=999_999_999 * 10**9))
def test_what_is_written_reads_back_exactly(nanoseconds: int) -> None:
    assert nanoseconds == parse_duration(format_duration(nanoseconds))


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        value = parse_duration(text)
    except ValueError:
        return

    assert value >= 0
