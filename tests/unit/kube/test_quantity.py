"""Quantities: as the Kubernetes library reads them, and at no cost that a text could choose."""

import json
from pathlib import Path

import pytest

from k40s.kube.objects.quantity import LARGEST, NANO, parse_quantity
from k40s.kube.objects.read import parse_cpu_millis

TABLE = Path(__file__).parents[2] / "fixtures" / "kube" / "quantities.json"
"""Text → MilliValue() of resource.ParseQuantity (apimachinery 0.35.4); null is an error."""


def read(text: str) -> int | None:
    try:
        return parse_cpu_millis(text)
    except ValueError:
        return None


def test_reads_what_the_kubernetes_library_reads() -> None:
    table = json.loads(TABLE.read_text())

    assert len(table) > 200
    assert {text: read(text) for text in table} == table


@pytest.mark.parametrize("suffix", ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"])
def test_decimal_suffixes_are_powers_of_a_thousand(suffix: str) -> None:
    power = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].index(suffix) - 3

    assert parse_quantity(f"7{suffix}") == 7 * 1000 ** (power + 3)


@pytest.mark.parametrize(("power", "suffix"), [*enumerate(["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"], 1)])
def test_binary_suffixes_are_powers_of_1024(power: int, suffix: str) -> None:
    assert parse_quantity(f"1.5{suffix}") == 3 * 1024**power * NANO // 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e1000000", LARGEST),
        ("1E+999999999999999999999999", LARGEST),
        ("1e-1000000", 1),
        ("-1e1000000", -LARGEST),
        ("0e1000000", 0),
        ("0." + "0" * 1_000_000 + "1", 1),
        ("9" * 1_000_000, LARGEST),
        ("9" * 1_000_000 + "Ei", LARGEST),
        ("1" + "0" * 1_000_000 + "e-1000000", NANO),
        ("." + "0" * 1_000_000 + "1e1000001", NANO),
        ("1e" + "0" * 1_000_000 + "3", 1000 * NANO),
        ("1" + "0" * 200 + "1e-201", NANO + 1),
    ],
    ids=lambda value: str(value)[:20],
)
def test_no_exponent_and_no_length_costs_more_than_the_text_is_long(text: str, value: int) -> None:
    assert parse_quantity(text) == value


def test_a_trace_is_rounded_away_from_zero() -> None:
    assert [parse_quantity(text) for text in ("0.1n", "1.1n", "-0.1n")] == [1, 2, -1]
