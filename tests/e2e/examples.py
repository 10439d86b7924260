"""The shipped examples on a cluster: applied, waited for, and what their log says."""

import json
import re
from dataclasses import dataclass

from k40s.annotations import ENFORCED_CONDITION
from localcluster.cluster import Cluster
from localcluster.images.cluster_images import PROJECT

OVERLAY = PROJECT / "manifests" / "overlays" / "local-examples"
PODS = ("pod/control-loop", "pod/video")
_REPORT = re.compile(r"(\d+) jobs, (\d+) late, worst response ([0-9.]+) ms, (SCHED_\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The last line of figures that an example has printed."""

    jobs: int
    late: int
    worst_ms: float
    policy: str


def apply_examples(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--kustomize", str(OVERLAY))


def delete_examples(cluster: Cluster) -> None:
    words = ("delete", "--kustomize", str(OVERLAY), "--ignore-not-found", "--grace-period=1")
    cluster.kubectl(*words, timeout=180)


def wait_for(cluster: Cluster, condition: str, *pods: str) -> None:
    words = ("wait", f"--for=condition={condition}", *pods, "--timeout=240s")
    cluster.kubectl(*words, timeout=300)


def condition_of(cluster: Cluster, pod: str, field: str = "status") -> str:
    path = '{.status.conditions[?(@.type=="k40s.io/enforced")].' + field + "}"
    return cluster.kubectl("get", pod, f"--output=jsonpath={path}").strip()


def lost_condition(cluster: Cluster, pod: str) -> dict[str, str]:
    """The condition that a pod is enforced, read at once; empty while it is True or absent."""
    status = json.loads(cluster.kubectl("get", pod, "--output=json"))["status"]
    found = [one for one in status.get("conditions", []) if one["type"] == ENFORCED_CONDITION]
    return found[0] if found and found[0]["status"] == "False" else {}


def log_of(cluster: Cluster, pod: str) -> list[str]:
    return cluster.kubectl("logs", pod).splitlines()


def last_report(cluster: Cluster, pod: str) -> Report | None:
    found = [match for line in log_of(cluster, pod) if (match := _REPORT.fullmatch(line))]
    if not found:
        return None
    jobs, late, worst, policy = found[-1].groups()
    return Report(jobs=int(jobs), late=int(late), worst_ms=float(worst), policy=policy)
