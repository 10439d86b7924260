"""Values -> JSON for the API server: the bodies of what k40s creates and patches."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from k40s.kube.records import NodeCondition, ObjectRef, PodCondition
from k40s.units import NS_PER_S, Nanoseconds

_MAX_MESSAGE = 1024
_MAX_NAME = 253


def node_metadata(
    labels: Mapping[str, str | None], annotations: Mapping[str, str | None]
) -> dict[str, Any]:
    """A merge patch, of either kind, that sets these keys, and removes those that are None."""
    metadata = {"labels": dict(labels), "annotations": dict(annotations)}
    return {"metadata": {part: keys for part, keys in metadata.items() if keys}}


def binding(
    *,
    namespace: str,
    name: str,
    uid: str,
    resource_version: str,
    node: str,
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    """A Binding with preconditions, without which it binds whatever pod has that name."""
    if not (uid and resource_version):
        raise ValueError("a Binding without preconditions binds whatever bears that name")
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": resource_version,
            "annotations": dict(annotations),
        },
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }


def event(
    about: ObjectRef,
    *,
    namespace: str,
    reason: str,
    message: str,
    component: str,
    warning: bool,
    once: str,
    now: datetime,
) -> dict[str, Any]:
    """An Event about an object; ``once`` makes its name, which is else a random one."""
    time = _seconds(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": _event_name(about.name, once), "namespace": namespace},
        "involvedObject": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "reason": reason,
        "message": message[:_MAX_MESSAGE],
        "type": "Warning" if warning else "Normal",
        "source": {"component": component},
        "reportingComponent": component,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


def pod_condition(
    pod: ObjectRef, kind: str, condition: PodCondition, *, transition: datetime | None
) -> dict[str, Any]:
    """A strategic merge patch of one condition; the UID keeps it from a pod of the same name."""
    change = {
        "type": kind,
        "status": str(condition.status),
        "reason": condition.reason,
        "message": condition.message[:_MAX_MESSAGE],
    }
    if transition is not None:
        change["lastTransitionTime"] = _seconds(transition)
    return {"metadata": {"uid": pod.uid}, "status": {"conditions": [change]}}


def node_condition(condition: NodeCondition) -> dict[str, Any]:
    """A strategic merge patch of one condition of a Node."""
    change = {
        "type": condition.kind,
        "status": str(condition.status),
        "reason": condition.reason,
        "message": condition.message[:_MAX_MESSAGE],
        "lastTransitionTime": _seconds(condition.since),
    }
    return {"status": {"conditions": [change]}}


def lease_renewal(*, holder: str, duration: Nanoseconds, now: datetime) -> dict[str, Any]:
    """A merge patch that renews a Lease."""
    return {
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, -(-duration // NS_PER_S)),
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
    }


def new_lease(namespace: str, name: str, renewal: Mapping[str, Any]) -> dict[str, Any]:
    """A Lease that is acquired at its first renewal."""
    spec = renewal["spec"]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec | {"acquireTime": spec["renewTime"]},
    }


def _event_name(name: str, once: str) -> str:
    """A name within the limit, which the object's own name may have reached already."""
    end = f".{once or secrets.token_hex(8)}"
    return name[: _MAX_NAME - len(end)].rstrip(".-") + end


def _seconds(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
