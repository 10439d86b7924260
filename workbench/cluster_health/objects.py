"""JSON of workloads and their pods -> facts; what cannot be read counts as absent. Pure."""

from collections.abc import Mapping
from typing import Any

from k40s.kube.objects.fields import JsonObject
from workbench.cluster_health.facts import Kind, PodFacts, WorkloadFacts

_NAME_LABEL = "app.kubernetes.io/name"
_NOTHING: Mapping[str, Any] = {}


def workload_facts(plural: str, item: JsonObject) -> WorkloadFacts | None:
    """A Deployment or DaemonSet as it is listed, None without a name."""
    meta = _part(item, "metadata")
    name, part = meta.get("name"), _part(meta, "labels").get(_NAME_LABEL)
    spec, status = _part(item, "spec"), _part(item, "status")
    if not isinstance(name, str):
        return None
    daemon_set = plural == "daemonsets"
    wanted = status.get("desiredNumberScheduled") if daemon_set else spec.get("replicas", 1)
    ready = status.get("numberReady" if daemon_set else "readyReplicas")
    template = _part(_part(spec, "template"), "spec")
    return WorkloadFacts(
        kind=Kind.DAEMON_SET if daemon_set else Kind.DEPLOYMENT,
        name=part if isinstance(part, str) else name,
        resource=name,
        wanted=_count(wanted),
        ready=_count(ready),
        tag=_tag(template),
    )


def pod_facts(item: JsonObject) -> PodFacts | None:
    """A pod of ours by its label, None for others and for those that have ended."""
    meta, spec, status = _part(item, "metadata"), _part(item, "spec"), _part(item, "status")
    name, owner = meta.get("name"), _part(meta, "labels").get(_NAME_LABEL)
    if not isinstance(name, str) or not isinstance(owner, str):
        return None
    if status.get("phase") in ("Succeeded", "Failed"):
        return None
    conditions = [one for one in status.get("conditions") or () if isinstance(one, Mapping)]
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
    return PodFacts(
        name=name,
        owner=owner,
        node=str(spec.get("nodeName") or ""),
        ready=ready,
        tag=_tag(spec),
        trouble="" if ready else _trouble(status, conditions),
    )


def _trouble(status: JsonObject, conditions: list[Mapping[str, Any]]) -> str:
    """What the first container that does not run does, or why the pod has no node."""
    for one in status.get("containerStatuses") or ():
        state = _part(one, "state") if isinstance(one, Mapping) else _NOTHING
        for detail in (_part(state, "waiting"), _part(state, "terminated")):
            if detail:
                return f"{one.get('name')}: {detail.get('reason', 'not running')}"
    unmet = [one for one in conditions if one.get("status") != "True" and one.get("message")]
    return " ".join(str(unmet[0]["message"]).split()) if unmet else ""


def _tag(spec: JsonObject) -> str:
    """The tag of the first container's image, "" where it has none."""
    containers = spec.get("containers")
    if not isinstance(containers, list) or not containers or not isinstance(containers[0], dict):
        return ""
    image = str(containers[0].get("image", "")).partition("@")[0]
    name, colon, tag = image.rpartition(":")
    return tag if colon and name and "/" not in tag else ""


def _part(item: JsonObject, key: str) -> JsonObject:
    found = item.get(key)
    return found if isinstance(found, Mapping) else _NOTHING


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
