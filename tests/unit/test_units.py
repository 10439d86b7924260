import pytest

from k40s.units import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0ns", 0),
        ("1ns", 1),
        ("250us", 250_000),
        ("250\N{MICRO SIGN}s", 250_000),
        ("250\N{GREEK SMALL LETTER MU}s", 250_000),
        ("1.5ms", 1_500_000),
        ("0.001us", 1),
        ("20ms", 20_000_000),
        ("1s", 1_000_000_000),
    ],
)
def test_reads_a_duration_exactly(text: str, nanoseconds: int) -> None:
    assert nanoseconds == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "250",
        "1.5",
        "ms",
        "-1ms",
        "+1ms",
        "1 ms",
        "1m",
        "1h",
        "1e3us",
        ".5ms",
        "1.ms",
        "\uff11ms",
    ],
)
def test_refuses_what_is_no_duration_with_a_unit(text: str) -> None:
    with pytest.raises(ValueError, match="with a unit"):
        parse_duration(text)


def test_refuses_a_fraction_of_a_nanosecond() -> None:
    with pytest.raises(ValueError, match="finer than a nanosecond"):
        parse_duration("0.5ns")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0ns"), (999, "999ns"), (1_000, "1us"), (24_120_000, "24.12ms"), (1_500_000_000, "1.5s")],
)
def test_writes_the_largest_unit_that_is_exact(nanoseconds: int, text: str) -> None:
    assert text == format_duration(nanoseconds)
