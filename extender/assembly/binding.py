"""The steps of bind over the tables: the Tenant's entry, the node, Networks, the Binding."""

from extender.assembly.adapters import Adapters
from extender.assembly.tables import Tables
from extender.binding.api_server import ConditionalBindings
from extender.binding.conditional_writes import ConditionalWrites
from extender.binding.entry_lease import EntryLease
from extender.binding.network_entries import NetworkEntries
from extender.binding.network_reservation import NetworkReservations
from extender.binding.reservation import NodeReservations
from extender.binding.tenant_entries import TenantEntries
from extender.metrics import ExtenderMetrics
from extender.placement.isolation import Isolation
from extender.placement.network_admission import NetworkAdmission
from extender.preemption.held_room import HeldRoom
from extender.settings import ExtenderSettings
from extender.verbs.bind import Binder


def make_binder(
    settings: ExtenderSettings,
    tables: Tables,
    adapters: Adapters,
    metrics: ExtenderMetrics,
    *,
    networks: NetworkAdmission,
    held_room: HeldRoom,
    isolation: Isolation | None,
) -> Binder:
    """The binder, with all entries of one bind under one lease."""
    writes = ConditionalWrites(clock=adapters.clock, pause=adapters.pause, jitter=adapters.jitter)
    lease = EntryLease(duration=settings.network_lease, clock=adapters.clock, wall=adapters.wall)
    return Binder(
        cache=tables.nodes,
        workloads=tables.workloads,
        bindings=ConditionalBindings(
            watched=tables.pods,
            workloads=tables.workloads,
            api=adapters.bindings,
            clock=adapters.clock,
            timeout=settings.bind_timeout,
        ),
        reservations=NodeReservations(cpu=adapters.cpu, admissions=adapters.admissions),
        networks=NetworkReservations(
            table=tables.networks,
            entries=NetworkEntries(
                table=tables.networks,
                admission=networks,
                networks=adapters.networks,
                writes=writes,
                clock=adapters.clock,
                lease=lease,
                conflicts=metrics.network_conflicts,
            ),
            stations=adapters.stations,
            clock=adapters.clock,
            timeout=settings.network_timeout,
            station_timeout=settings.station_timeout,
            name_attempt=adapters.name_attempt,
        ),
        tenants=TenantEntries(
            table=tables.tenants,
            tenants=adapters.tenants,
            writes=writes,
            clock=adapters.clock,
            lease=lease,
            timeout=settings.tenant_timeout,
            conflicts=metrics.tenant_conflicts,
            name_attempt=adapters.name_attempt,
        ),
        lease=lease,
        places=tables.places,
        claims=tables.claims,
        held_room=held_room,
        isolation=isolation,
    )
