"""What would make a pod fit on a node: changes that the same admission was tried with.

A trial is the whole admission on the node as if something were gone, or the pod asked for less.
Each costs about what filter takes for one node, so their number and their time are bounded, and
between two of them the process is left to the scheduler's calls.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from extender.cache.bound_pods import BoundPod, BoundPods
from extender.cache.snapshot import NodeView, Snapshot
from extender.explanation.case import Case
from extender.explanation.holders import core_name, held_by_pod, pod_name, pods_by_prefix
from extender.explanation.variants import (
    Variant,
    cpu_variants,
    network_variants,
    with_runtime_class,
)
from extender.explanation.wording import listed
from extender.placement.admission_cache import FindTest
from extender.preemption.trial import Applicant, Trials
from k40s.annotations import UID_LENGTH
from k40s.cpu.model import Reservation, total_bandwidth
from k40s.criticality import Criticality
from k40s.reasons import Reason

MOST_TRIALS = 24
"""On one node."""
_MOST_HOLDERS = 8
"""Pods that are tried one by one, of a kind."""
_MOST_FOUND = 2
"""Single pods that are named."""
Uids = frozenset[str]
IsLate = Callable[[], bool]
Held = tuple[BoundPod, Sequence[Reservation]]
"""A pod, and what it holds of the CPU."""


class _EnoughTrialsError(Exception):
    """The time, or the number of trials on a node, is used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """``remedies`` made it fit. ``remark`` says what was not tried, or what comes next."""

    remedies: tuple[str, ...] = ()
    named: tuple[BoundPod, ...] = ()
    """The pods that a remedy names."""
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedies:
    """Finds remedies. ``unclaimed`` are trials that pass over claims. Any thread may call."""

    trials: Trials
    unclaimed: Trials
    pods: BoundPods
    tests: FindTest
    classes: Mapping[Criticality, str]
    breathe: Callable[[], None]

    def find(self, snapshot: Snapshot, case: Case, late: IsLate) -> Tried:
        """Remedies for one node, and what was left untried."""
        view = case.view
        if view is None:
            return Tried()
        search = _Search(self, snapshot, view, case, late)
        try:
            search.run()
        except _EnoughTrialsError:
            search.remark = "Not every change was tried: time was up."
        return Tried(remedies=tuple(search.found), named=tuple(search.named), remark=search.remark)


class _Search:
    """The trials on one node."""

    def __init__(
        self, parts: Remedies, snapshot: Snapshot, view: NodeView, case: Case, late: IsLate
    ) -> None:
        self._parts = parts
        self._snapshot = snapshot
        self._view = view
        self._case = case
        self._late = late
        self._left = MOST_TRIALS
        self.found: list[str] = []
        self.named: list[BoundPod] = []
        self.remark = ""

    def run(self) -> None:
        """Tries what could help against the reason. Raises when that is enough."""
        reason = self._case.reason
        if reason in (Reason.ASSURANCE_HAZARD, Reason.ASSURANCE_TOO_LOW):
            self._lift_assurance()
        elif reason is Reason.CLAIM_HELD:
            if self._refusal(self._case.asked, trials=self._parts.unclaimed) is None:
                self.found.append("it fits once the room that is held is given back")
        elif reason is Reason.ISOLATION_CLASS:
            self._change_class()
        elif reason.value.startswith("network."):
            self._relieve_networks()
        elif reason.value.startswith("cpu.") and self._view.cpu is not None:
            self._relieve_cpu()

    def _refusal(
        self, asked: Applicant, gone: Uids = frozenset(), *, trials: Trials | None = None
    ) -> Reason | None:
        if self._late() or self._left == 0:
            raise _EnoughTrialsError
        self._left -= 1
        try:
            made = self._parts.trials if trials is None else trials
            return made.refusal(self._snapshot, self._view, asked, gone)
        finally:
            self._parts.breathe()

    def _lift_assurance(self) -> None:
        """The rest of the admission on a node whose level suffices."""
        case, criticality = self._case, self._case.asked.workload.criticality
        self._snapshot = replace(
            self._snapshot,
            refused={**self._snapshot.refused, criticality: {}},
            scores={**self._snapshot.scores, criticality: {self._view.name: 0}},
        )
        beyond = self._refusal(case.asked)
        hazard = case.reason is Reason.ASSURANCE_HAZARD
        if beyond is not None:
            self.remark = f"With enough assurance the node would still refuse it: {beyond.value}."
        elif hazard:
            self.found.append("it fits once the hazard is over and the level has recovered")
        else:
            self.found.append("it fits once the node's assurance is high enough")

    def _change_class(self) -> None:
        asked = self._case.asked
        name = self._parts.classes.get(asked.workload.criticality, "")
        if self._refusal(with_runtime_class(asked, name)) is None:
            self.found.append(f"it fits with runtimeClassName: {name}")

    def _relieve_networks(self) -> None:
        asked, parts = self._case.asked, self._parts
        holders = parts.trials.holders(asked, self._view.name) - {asked.pod.uid}
        pods = [pod for pod in parts.pods.on(self._view.name) if pod.uid in holders]
        self._without_one([(pod, "") for pod in sorted(pods, key=_by_criticality)])
        self._ask_for_less(network_variants(asked))

    def _relieve_cpu(self) -> None:
        state = self._view.cpu
        if state is None or self._parts.tests(state.test) is None or not state.complete:
            self.remark = "Nothing was tried: only the node itself can judge a change."
            return
        pods = pods_by_prefix(self._parts.pods, self._view.name)
        own = self._case.asked.pod.uid[:UID_LENGTH]
        held = [
            (pods[prefix], reservations)
            for prefix, reservations in held_by_pod(state.node.reservations).items()
            if prefix in pods and prefix != own
        ]
        before = len(self.found)
        self._without_one(self._useful(held))
        if len(self.found) == before:
            self._without_core(state.node.cores, held)
        self._ask_for_less(cpu_variants(self._case.asked))

    def _useful(self, held: Sequence[Held]) -> list[tuple[BoundPod, str]]:
        """Pods without which there would be bandwidth enough, and what they hold.

        The least critical ones come first, and of these the smallest.
        """
        trial = self._parts.trials.on(self._snapshot, self._view.name, self._case.asked, Uids())
        ranked = sorted(
            (_by_criticality(pod)[0], total_bandwidth(held), pod.uid, pod) for pod, held in held
        )
        return [
            (pod, f", {float(bandwidth):.3f} of a core")
            for _, bandwidth, uid, pod in ranked
            if trial.may_fit(Uids({uid}))
        ]

    def _without_core(self, cores: Iterable[int], held: Sequence[Held]) -> None:
        """The first core that several pods would have to leave."""
        for core in cores:
            here = [pod for pod, some in held if any(one.core == core for one in some)]
            if len(here) > 1 and self._without(here):
                names = listed(map(_named, here))
                self.named += here
                self.found.append(
                    f"it fits without the {len(here)} pods on {core_name(core)}: {names}"
                )
                return

    def _without_one(self, pods: Sequence[tuple[BoundPod, str]]) -> None:
        """The first of these pods, each with what it holds, without which it fits."""
        found = 0
        for pod, holds in pods[:_MOST_HOLDERS]:
            if self._without([pod]):
                self.found.append(f"it fits without {_named(pod, holds)}")
                self.named.append(pod)
                found += 1
                if found == _MOST_FOUND:
                    return

    def _without(self, pods: Iterable[BoundPod]) -> bool:
        return self._refusal(self._case.asked, frozenset(pod.uid for pod in pods)) is None

    def _ask_for_less(self, kinds: Iterator[Sequence[Variant]]) -> None:
        """Of each kind the smallest change with which it fits."""
        for kind in kinds:
            for words, asked in kind:
                if self._refusal(asked) is None:
                    self.found.append(f"it fits {words}")
                    break


def _by_criticality(pod: BoundPod) -> tuple[int, str]:
    unknown = len(Criticality)
    return (unknown if pod.criticality is None else int(pod.criticality), pod.uid)


def _named(pod: BoundPod, more: str = "") -> str:
    """``default/vision (LOW)``; the criticality is always said."""
    criticality = "criticality unknown" if pod.criticality is None else pod.criticality.name
    return f"{pod_name(pod)} ({criticality}{more})"
