"""Admission of one pod with real-time tasks by each node, within the time of one call."""

from collections.abc import Mapping, Sequence

from prometheus_client import Counter

from extender.cache.snapshot import Snapshot
from extender.cache.workloads import Contract
from extender.placement.admission_cache import AdmissionCache
from extender.placement.candidates import Verdict
from extender.placement.node_queries import NodeQueries
from k40s.cpu.workload import Workload
from k40s.node_api.messages import PodRef, ReservationRequest
from k40s.units import Clock, Nanoseconds


class RealTimeAdmission:
    """Admission verdicts for pods with real-time tasks. Any thread may call."""

    def __init__(
        self,
        *,
        admissions: AdmissionCache,
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
