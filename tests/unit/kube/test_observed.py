"""Nodes, Pods and Events as an overview needs them, however odd their objects are."""

from datetime import UTC, datetime

import pytest

from k40s.kube.objects.fields import NamelessError
from k40s.kube.objects.observed import event_record, observed_node, observed_pod

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON = "2026-03-01T12:00:00Z"


def test_an_event_of_an_old_reporter_is_read() -> None:
    record = event_record(
        {
            "metadata": {"uid": "e"},
            "involvedObject": {"kind": "Pod", "namespace": "plant", "name": "pump", "uid": "u"},
            "reason": "SuspectNamed",
            "message": "text",
            "source": {"component": "k40s-malacoda"},
            "lastTimestamp": NOON,
        }
    )

    assert (record.key, record.component, record.at) == ("e", "k40s-malacoda", AT)
    assert (record.about.kind, record.about.namespace, record.about.name) == (
        *("Pod", "plant", "pump"),
    )
    assert record.faults == ()


def test_an_event_of_a_new_reporter_counts_from_its_last_repeat() -> None:
    record = event_record(
        {
            "metadata": {"uid": "e"},
            "reportingComponent": "k40s-scheduler",
            "eventTime": "2026-03-01T11:00:00.000001Z",
            "series": {"lastObservedTime": NOON},
            "lastTimestamp": None,
        }
    )

    assert (record.component, record.at) == ("k40s-scheduler", AT)


@pytest.mark.parametrize("time", ["yesterday", "2026-03-01T12:00:00", 7])
def test_a_time_that_is_none_is_a_fault(time: object) -> None:
    record = event_record({"metadata": {"uid": "e"}, "eventTime": time})

    assert record.at is None
    assert [one.field for one in record.faults] == ["at"]


def test_an_event_without_its_uid_has_no_record() -> None:
    with pytest.raises(NamelessError):
        event_record({"metadata": {}})


def test_a_node_whose_conditions_are_odd_is_not_ready() -> None:
    record = observed_node({"metadata": {"name": "edge"}, "status": {"conditions": [3]}})

    assert (record.key, record.ready, record.reduced) == ("edge", False, "")
    assert [one.field for one in record.faults] == ["conditions"]


def test_a_pod_whose_status_is_odd_is_not_refused() -> None:
    meta = {"name": "pump", "namespace": "plant", "uid": "u"}
    record = observed_pod({"metadata": meta, "spec": {}, "status": "gone"})

    assert (record.key, record.refused, record.created, record.started) == ("u", "", None, None)
    assert "conditions" in {one.field for one in record.faults}


def test_a_pod_that_no_node_takes_says_so_even_without_a_message() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    meta = {"name": "pump", "namespace": "plant", "uid": "u"}
    record = observed_pod({"metadata": meta, "spec": {}, "status": {"conditions": [condition]}})

    assert record.refused == "no node takes it"
