"""Networks as ledgers: what their status says follows from declaration, entries and stations."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.collection.differences import TABLE_DIFFERS, Differences
from controller.collection.ports import StatusWriter, Surroundings
from k40s.kube.objects.network_status import WatchedNetwork
from k40s.ledger.collection import CollectionPlan
from k40s.network.conditions import HEALTHY
from k40s.network.model import NetworkReservation
from k40s.network.status import NetworkSummary
from k40s.network.summary import summarize
from k40s.units import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLedger:
    """One Network, with the names of all Nodes and the codes of its living daemons by node."""

    watched: WatchedNetwork
    nodes: frozenset[str]
    health: Mapping[str, str]
    writer: StatusWriter

    @property
    def version(self) -> str:
        """The version of the object."""
        return self.watched.state.resource_version

    @property
    def reservations(self) -> tuple[NetworkReservation, ...] | None:
        """Its entries, None where they cannot be read."""
        return self.watched.reservations

    @property
    def summary(self) -> NetworkSummary:
        """What its status says of itself."""
        return self.watched.summary

    @property
    def question(self) -> Hashable:
        """Members that are missing, and the health of the others."""
        missing = frozenset(one.node for one in self.watched.state.network.members) - self.nodes
        return missing, tuple(sorted(self.health.items()))

    def complete(
        self, plan: CollectionPlan[NetworkReservation]
    ) -> CollectionPlan[NetworkReservation]:
        """The same plan: a pod that holds nothing gets nothing."""
        return plan

    def summarize(
        self, reservations: tuple[NetworkReservation, ...] | None, now: datetime
    ) -> NetworkSummary:
        """What is to be said."""
        return summarize(
            self.watched.state,
            reservations,
            nodes=self.nodes,
            health=self.health,
            former=self.watched.summary,
            generation=self.watched.generation,
        ).following(self.watched.summary, now)

    def write(
        self, summary: NetworkSummary, reservations: tuple[NetworkReservation, ...] | None
    ) -> None:
        """Writes the status of this version."""
        self.writer.write(self.watched.state, summary, reservations)


class NetworkLedgers:
    """All Networks, by name, with what is known of their stations across looks."""

    def __init__(self, *, around: Surroundings, writer: StatusWriter, clock: Clock) -> None:
        self._around = around
        self._writer = writer
        self._clock = clock
        self._differences: dict[str, Differences] = {}

    def look(self) -> Mapping[str, NetworkLedger]:
        """The Networks as they are; each look also compares what stations hold."""
        networks, nodes = self._around.networks(), self._around.nodes()
        health, held = self._around.health(), self._around.held()
        former = self._differences
        self._differences = {
            name: former.get(name) or Differences(clock=self._clock) for name in networks
        }
        return {
            name: NetworkLedger(
                watched=watched,
                nodes=nodes,
                health=self._codes(name, watched, health.get(name, {}), held.get(name, {})),
                writer=self._writer,
            )
            for name, watched in networks.items()
        }

    def _codes(
        self,
        name: str,
        watched: WatchedNetwork,
        health: Mapping[str, str],
        held: Mapping[str, str],
    ) -> Mapping[str, str]:
        """What stations say of themselves; of those that say nothing wrong, whether they differ."""
        differ = self._differences[name].find(watched.reservations, held)
        return {
            node: TABLE_DIFFERS if node in differ and code == HEALTHY else code
            for node, code in health.items()
        }
