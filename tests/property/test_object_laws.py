"""Whatever JSON an object is, reading it ends in a record or in the one error for nameless ones."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from k40s.kube.objects.quantity import LARGEST, parse_quantity
from k40s.kube.objects.read import NamelessError, lease_record, node_record, pod_record

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["1", "128Mi", "1e999999999", "Always", "c", "2026-01-02T03:04:05Z", "Failed"]
    )
)
KEYS = """
    metadata spec status uid namespace name labels annotations nodeName containers initContainers
    resources requests cpu overhead restartPolicy phase containerStatuses containerID
    allocatedResources conditions type reason renewTime leaseDurationSeconds
"""
WORDS = st.sampled_from(KEYS.split())
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=8),
    max_leaves=30,
)
OBJECTS = st.dictionaries(WORDS, ANYTHING, max_size=8)
NAMES = {"uid": "u", "namespace": "n", "name": "p"}


@given(OBJECTS)
def test_any_object_has_a_record_or_no_name(item: dict[str, Any]) -> None:
    for read in (pod_record, node_record, lease_record):
        try:
            read(item)
        except NamelessError:
            continue


@given(OBJECTS, OBJECTS, OBJECTS)
def test_any_object_with_its_names_has_a_record(
    meta: dict[str, Any], spec: dict[str, Any], status: dict[str, Any]
) -> None:
    item = {"metadata": meta | NAMES, "spec": spec, "status": status}

    for read in (pod_record, node_record, lease_record):
        record = read(item)
        assert record.faults == read(item).faults
        json.dumps([fault.text for fault in record.faults]).encode()
    assert pod_record(item).cpu_request_millis >= 0


@given(st.text(alphabet="0123456789.eE+-numkMGTPEi ", max_size=30))
def test_a_text_is_a_quantity_within_bounds_or_none(text: str) -> None:
    try:
        value = parse_quantity(text)
    except ValueError:
        return

    assert -LARGEST <= value <= LARGEST


@given(st.integers(0, 10**12), st.sampled_from(["n", "u", "m", "", "k", "Ki", "Mi", "e3", "E-3"]))
def test_a_larger_number_is_never_a_smaller_quantity(number: int, suffix: str) -> None:
    assert parse_quantity(f"{number}{suffix}") <= parse_quantity(f"{number + 1}{suffix}")
    assert parse_quantity(f"+{number}.0{suffix}") == parse_quantity(f"00{number}.{suffix}")
