"""The whole admission of one pod on its candidate nodes: each test sees what the ones before left.

Filter and the dry run of it are this admission; what else has to ask "would this pod fit" asks here
as well, so that all of them answer alike.
"""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import replace
from typing import NamedTuple, Protocol

from prometheus_client import Counter

from extender.cache.snapshot import Snapshot
from extender.cache.workloads import Contract
from extender.placement.admission_cache import AdmissionCache, GuestAdmissions
from extender.placement.candidates import Split, Verdict, split_by_assurance, split_by_verdicts
from extender.placement.exchanges import Exchanges
from extender.placement.network_admission import NetworkAdmission
from extender.placement.node_queries import NodeQueries
from extender.protocol import PodFacts
from k40s.cpu.workload import Workload
from k40s.node_api.messages import PodRef, ReservationRequest
from k40s.reasons import Reason
from k40s.units import Clock, Nanoseconds


class RealTimeAdmission:
    """Admission verdicts for pods with real-time tasks. Any thread may call."""

    def __init__(
        self,
        *,
        admissions: AdmissionCache | GuestAdmissions,
        queries: NodeQueries,
        counters: Mapping[str, Counter] | None,
        clock: Clock,
        patience: Nanoseconds,
    ) -> None:
        """``counters``, if any, count verdicts by their origin; ``patience`` bounds one call."""
        self._admissions = admissions
        self._queries = queries
        self._counters = counters
        self._clock = clock
        self._patience = patience

    def verdicts(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        pod: PodRef,
        contract: Contract,
        workload: Workload,
    ) -> Mapping[str, Verdict]:
        """The verdict of each named node, all of which are in the snapshot."""
        deadline = self._clock() + self._patience
        request = ReservationRequest(pod=pod, workload=workload)
        found = self._admissions.verdicts(
            snapshot,
            names,
            contract,
            workload,
            pod.uid,
            late=lambda: self._clock() >= deadline,
            ask=lambda states, late: self._queries.ask(
                {name: state.endpoint for name, state in states.items()}, request, deadline, late
            ),
        )
        if self._counters is not None:
            self._counters["asked"].inc(found.asked)
            self._counters["unanswered"].inc(found.unanswered)
            self._counters["exact"].inc(found.exact)
            self._counters["rough"].inc(found.rough)
            self._counters["remembered"].inc(found.cached)
        return found.by_node


class RealTimeVerdicts(Protocol):
    """The real-time CPU part of an admission. Any thread may call."""

    def verdicts(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        pod: PodRef,
        contract: Contract,
        workload: Workload,
    ) -> Mapping[str, Verdict]:
        """The verdict of each named node, all of which are in the snapshot."""


class Check(Protocol):
    """One more test of a pod. Any thread may call."""

    def refusals(
        self, snapshot: Snapshot, names: Sequence[str], pod: PodFacts, contract: Contract
    ) -> Mapping[str, Reason]:
        """The nodes among ``names`` that it refuses; the contract is valid."""
        ...


class ConditionalCheck(NamedTuple):
    """A check that is made only while these exist, so that it costs nothing where none do."""

    check: Check
    while_any: Sized


class PodAdmission:
    """Assurance, real-time CPU, networks, further checks, tenants. Any thread may call."""

    def __init__(
        self,
        *,
        real_time: RealTimeVerdicts,
        networks: NetworkAdmission,
        checks: Sequence[ConditionalCheck] = (),
        exchanges: Exchanges | None = None,
    ) -> None:
        """``checks`` come last, in this order. Without ``exchanges`` none are counted on.

        One that answers for all nodes alike comes last: it is the reason only where nothing else
        refuses.
        """
        self._real_time = real_time
        self._networks = networks
        self._checks = checks
        self._exchanges = exchanges

    def looks_beside(self, contract: Contract) -> bool:
        """Whether a verdict on such a pod depends on more than what nodes publish."""
        return bool(contract.requirements) or any(one.while_any for one in self._checks)

    def split(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        pod: PodFacts,
        contract: Contract,
        workload: Workload,
    ) -> Split:
        """Splits the candidates of a pod whose contract is this workload.

        Where none fits, nodes count that exchange servers for it; where these are refused for
        other reasons, all refusals stay as they are.
        """
        split = self._split_as_is(snapshot, names, pod, contract, workload)
        if split.fit or self._exchanges is None or not workload.is_real_time:
            return split
        for found in self._exchanges.nodes(snapshot, split.refused, pod.uid, contract, workload):
            rest = {name: why for name, why in split.refused.items() if name not in set(found)}
            after = Split(fit=found, refused=rest, exchanging=True)
            after = self._beyond_cpu(after, snapshot, pod, contract)
            if after.fit:
                return after
        return split

    def _split_as_is(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        pod: PodFacts,
        contract: Contract,
        workload: Workload,
    ) -> Split:
        split = split_by_assurance(snapshot, names, workload.criticality)
        if workload.is_real_time:
            about = PodRef(uid=pod.uid, namespace=pod.namespace, name=pod.name)
            verdicts = self._real_time.verdicts(snapshot, split.fit, about, contract, workload)
            split = split_by_verdicts(split, verdicts)
        return self._beyond_cpu(split, snapshot, pod, contract)

    def _beyond_cpu(
        self, split: Split, snapshot: Snapshot, pod: PodFacts, contract: Contract
    ) -> Split:
        if contract.requirements:
            found = self._networks.verdicts(snapshot, split.fit, pod.uid, contract.requirements)
            split = split_by_verdicts(split, found)
        for check, while_any in self._checks:
            if while_any:
                split = _checked(split, check.refusals(snapshot, split.fit, pod, contract))
        return split


def _checked(split: Split, refused: Mapping[str, Reason]) -> Split:
    if not refused:
        return split
    return replace(
        split,
        fit=[name for name in split.fit if name not in refused],
        refused={**split.refused, **refused},
    )
