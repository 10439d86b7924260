"""Reads the state of cluster and kernel; changes nothing but the demo's pods."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from daemons.rubicante.kernel.sched_attr import Attributes, LinuxAttributes
from demo.budgets import BudgetGroup, read_deadlines, read_groups, read_quota
from demo.pods import LABEL, NAMESPACE, Manifest
from k40s.reasons import Reason


class Kubectl(Protocol):
    """Runs kubectl against the story's cluster and returns what it prints."""

    def __call__(self, *args: str, stdin: str = "") -> str:
        """Raise on a non-zero exit status."""
        ...


class WaitTimeoutError(Exception):
    """A condition did not become true in its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """One cluster, observed by kubectl, ``/sys`` and ``/proc``.

    ``group_prefix`` is that of the real-time node's budget groups, ``cpu_cgroup`` the hierarchy
    that has the cpu controller, ``pods_cgroup`` the real-time node's kubepods in it. ``patience``
    is by how much longer than usual to wait.
    """

    kubectl: Kubectl
    group_prefix: str
    namespace: str = NAMESPACE
    cpu_cgroup: Path = Path("/sys/fs/cgroup/cpu")
    pods_cgroup: Path | None = None
    proc: Path = Path("/proc")
    attributes: Attributes = field(default_factory=LinuxAttributes)
    patience: int = 1

    def create(self, *pods: Manifest) -> None:
        """Apply pods."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(pods)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def delete(self, *names: str) -> None:
        """Delete pods of the story and wait until they are gone."""
        self.kubectl(
            "-n", self.namespace, "delete", "pod", "--ignore-not-found", "--wait=true", *names
        )

    def delete_all(self) -> None:
        """Delete every pod and Deployment of a story, this one's or an earlier one's."""
        words = ("delete", "deployment,pod", "--wait=true", f"--selector={LABEL}")
        self.kubectl("-n", self.namespace, *words)

    def pod(self, name: str) -> Mapping[str, Any]:
        """A pod as the API server has it."""
        found: dict[str, Any] = json.loads(
            self.kubectl("-n", self.namespace, "get", "pod", name, "-o", "json")
        )
        return found

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """The pods that a label selector chooses, as the API server has them."""
        text = self.kubectl("-n", self.namespace, "get", "pods", "-l", selector, "-o", "json")
        found: list[dict[str, Any]] = json.loads(text)["items"]
        return found

    def node_of(self, name: str) -> str:
        """The node that a pod is bound to, or ''."""
        return str(self.pod(name)["spec"].get("nodeName", ""))

    def phase_of(self, name: str) -> str:
        """The pod's phase."""
        return str(self.pod(name)["status"].get("phase", ""))

    def last_log(self, name: str) -> str:
        """The last line that a pod printed."""
        return self.kubectl("-n", self.namespace, "logs", "--tail=1", name).strip()

    def log_of(self, workload: str, *, namespace: str) -> str:
        """All that a workload (kind/name) logged, of one of its pods."""
        return self.kubectl("-n", namespace, "logs", workload, "--tail=-1")

    def refusals(self, name: str) -> str:
        """Messages of a pod's FailedScheduling events, without duplicates and in-tree plugins."""
        events = json.loads(
            self.kubectl(
                *("-n", self.namespace, "get", "events", "-o", "json", "--field-selector"),
                f"involvedObject.uid={self.pod(name)['metadata']['uid']},reason=FailedScheduling",
            )
        )
        texts = [str(item.get("message") or item.get("note", "")) for item in events["items"]]
        return " ".join(dict.fromkeys(text.split(". no new claims")[0] for text in texts))

    def event(self, name: str, reason: str) -> str:
        """The last message of a pod's events with this reason; "" where there is none."""
        uid = self.pod(name)["metadata"]["uid"]
        chosen = f"--field-selector=involvedObject.uid={uid},reason={reason}"
        found = self.kubectl("-n", self.namespace, "get", "events", "-o", "json", chosen)
        return next((str(one["message"]) for one in reversed(json.loads(found)["items"])), "")

    def quota(self, name: str) -> float:
        """The CPU quota of a pod's cgroup, in CPUs; 0 where it has none."""
        uid = self.pod(name)["metadata"]["uid"]
        found = next(iter(self.cpu_cgroup.rglob(f"pod{uid}")), None)
        return 0.0 if found is None else read_quota(found)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        threading.Event().wait(seconds)

    def node_annotation(self, node: str, key: str) -> str:
        """An annotation of a node; empty where absent."""
        found = json.loads(self.kubectl("get", "node", node, "-o", "json"))
        return str(found["metadata"].get("annotations", {}).get(key, ""))

    def node_label(self, node: str, key: str) -> str:
        """A label of a node; empty where absent."""
        found = json.loads(self.kubectl("get", "node", node, "-o", "json"))
        return str(found["metadata"].get("labels", {}).get(key, ""))

    def groups(self) -> tuple[BudgetGroup, ...]:
        """The budgets of the cluster's real-time node that exist in the kernel."""
        groups = read_groups(self.cpu_cgroup, self.group_prefix)
        pods = self.pods_cgroup
        return groups if pods is None else (*groups, *read_deadlines(pods, self.attributes))

    def bandwidth(self) -> Fraction:
        """ΣQ/P of the budgets that exist in the kernel."""
        return sum((Fraction(g.budget, g.period) for g in self.groups()), Fraction(0))

    def wait_until(self, what: str, condition: Callable[[], object], *, seconds: float) -> None:
        """Poll until a condition is true, ``seconds`` on a usual machine; see ``wait_until``."""
        wait_until(what, condition, seconds=seconds * self.patience)

    def share(self, thread: int, seconds: float) -> float:
        """The share of a CPU that a thread ran for, over some seconds."""
        schedstat = self.proc / str(thread) / "schedstat"
        ran, began = int(schedstat.read_text().split()[0]), time.monotonic_ns()
        threading.Event().wait(seconds)
        return (int(schedstat.read_text().split()[0]) - ran) / (time.monotonic_ns() - began)

    def steal(self) -> int:
        """CPU time that the hypervisor took from this machine so far, in clock ticks."""
        return int((self.proc / "stat").read_text().split("\n", 1)[0].split()[8])


def wait_until(what: str, condition: Callable[[], object], *, seconds: float) -> None:
    """Poll until a condition is true; ``WaitTimeoutError`` names what never came."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            raise WaitTimeoutError(f"waited {seconds:.0f} s in vain until {what}")
        pause.wait(0.25)


def all_on(nodes: Sequence[str]) -> str:
    """The nodes, each once, for a table cell."""
    return ", ".join(sorted(set(nodes))) or "-"


def reasons_in(refusal: str) -> str:
    """The reason codes that a refusal names, for a table cell."""
    return ", ".join(reason.value for reason in Reason if reason.value in refusal)
