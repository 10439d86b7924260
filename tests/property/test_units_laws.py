from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from k40s.units import format_cpu_list, format_duration, parse_cpu_list, parse_duration


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


@given(st.sets(st.integers(0, 1023), min_size=1))
def test_cpus_are_written_as_the_kernel_does(cpus: set[int]) -> None:
    text = format_cpu_list(cpus)

    assert set(parse_cpu_list(text)) == cpus
    ends = [part.split("-") for part in text.split(",")]
    gaps = [int(after[0]) - int(before[-1]) for before, after in pairwise(ends)]
    assert all(gap > 1 for gap in gaps)
    assert all(len(end) == 1 or int(end[0]) < int(end[1]) for end in ends)
