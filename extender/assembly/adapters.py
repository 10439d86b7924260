"""What the verbs reach outside the process, and the clocks that they read."""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from extender.placement.admission_cache import AdmissionCache, FindTest
from extender.placement.node_queries import NodeQueries
from extender.ports import CpuReservations, Networks, NetworkStations, PodBindings, Tenants
from extender.preemption.whole_states import WholeStates
from extender.scheduler_calls import SchedulerCalls
from k40s.units import Clock, Nanoseconds, WallClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """The API server, the nodes' daemons, the installed tests, and time."""

    bindings: PodBindings
    networks: Networks
    tenants: Tenants
    cpu: CpuReservations
    stations: NetworkStations
    queries: NodeQueries
    states: WholeStates
    tests: FindTest
    """The schedulability test of a name, or None where it is not installed here."""
    admissions: AdmissionCache
    clock: Clock
    wall: WallClock
    pause: Callable[[Nanoseconds], object]
    """Waits before a write is tried again."""
    calls: SchedulerCalls
    """Calls that kube-scheduler waits for at present."""
    jitter: Callable[[], float] = random.random
    name_attempt: Callable[[], str] = lambda: secrets.token_hex(8)
    """A name for each bind's entries, by which it finds its own."""
