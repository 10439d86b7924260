"""Reads the state of cluster and kernel; changes nothing but the demo's pods."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

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
class BudgetGroup:
    """A budget group as the kernel shows it; times in microseconds."""

    name: str
    budget: int
    period: int
    threads: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """One cluster, observed by kubectl, ``/sys`` and ``/proc``."""

    kubectl: Kubectl
    group_prefix: str
    cpu_cgroup: Path = Path("/sys/fs/cgroup/cpu")
    proc: Path = Path("/proc")

    def create(self, *pods: Manifest) -> None:
        """Apply pods."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(pods)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def delete(self, *names: str) -> None:
        """Delete pods of the story and wait until they are gone."""
        self.kubectl("-n", NAMESPACE, "delete", "pod", "--ignore-not-found", "--wait=true", *names)

    def delete_all(self) -> None:
        """Delete every pod of a story, this one's or an earlier one's."""
        self.kubectl("-n", NAMESPACE, "delete", "pod", "--wait=true", f"--selector={LABEL}")

    def pod(self, name: str) -> Mapping[str, Any]:
        """A pod as the API server has it."""
        found: dict[str, Any] = json.loads(
            self.kubectl("-n", NAMESPACE, "get", "pod", name, "-o", "json")
        )
        return found

    def node_of(self, name: str) -> str:
        """The node that a pod is bound to, or ''."""
        return str(self.pod(name)["spec"].get("nodeName", ""))

    def phase_of(self, name: str) -> str:
        """The pod's phase."""
        return str(self.pod(name)["status"].get("phase", ""))

    def last_log(self, name: str) -> str:
        """The last line that a pod printed."""
        return self.kubectl("-n", NAMESPACE, "logs", "--tail=1", name).strip()

    def refusals(self, name: str) -> str:
        """Messages of a pod's FailedScheduling events, without duplicates and in-tree plugins."""
        events = json.loads(
            self.kubectl(
                *("-n", NAMESPACE, "get", "events", "-o", "json", "--field-selector"),
                f"involvedObject.uid={self.pod(name)['metadata']['uid']},reason=FailedScheduling",
            )
        )
        texts = [str(item.get("message") or item.get("note", "")) for item in events["items"]]
        return " ".join(dict.fromkeys(text.split(". no new claims")[0] for text in texts))

    def node_annotation(self, node: str, key: str) -> str:
        """An annotation of a node; empty where absent."""
        found = json.loads(self.kubectl("get", "node", node, "-o", "json"))
        return str(found["metadata"].get("annotations", {}).get(key, ""))

    def groups(self) -> tuple[BudgetGroup, ...]:
        """The budget groups of the cluster's real-time node that exist in the kernel."""
        paths = sorted(self.cpu_cgroup.glob(f"{self.group_prefix}*"))
        return tuple(self._group(path) for path in paths)

    def bandwidth(self) -> Fraction:
        """ΣQ/P of the budget groups that exist in the kernel."""
        return sum((Fraction(g.budget, g.period) for g in self.groups()), Fraction(0))

    def _group(self, path: Path) -> BudgetGroup:
        return BudgetGroup(
            name=path.name,
            budget=int((path / "cpu.rt_runtime_us").read_text()),
            period=int((path / "cpu.rt_period_us").read_text()),
            threads=tuple(int(line) for line in (path / "tasks").read_text().split()),
        )

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
