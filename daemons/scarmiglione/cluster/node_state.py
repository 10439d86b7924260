"""The state of the node's networks: as published on the Node, and in full for ``GET /v1/state``."""

import logging
from collections.abc import Callable
from dataclasses import replace

from daemons.scarmiglione.network.back_end import Role
from daemons.scarmiglione.network.back_end import StationState as KernelState
from daemons.scarmiglione.slots.book import Book
from daemons.scarmiglione.slots.entry import Entry
from daemons.scarmiglione.slots.findings import Finding, Findings
from daemons.scarmiglione.slots.presence import Presence, find_slot
from daemons.scarmiglione.station.stations import Station, StationKey, Stations, kernel_role
from k40s.annotations import NETWORK_STATE_KEY, XENOMAI_LABEL
from k40s.annotations.network_state import (
    MOST_NETWORKS,
    BackEnd,
    NetworkNodeState,
    StationState,
    format_network_state,
)
from k40s.annotations.network_state import (
    Role as PublishedRole,
)
from k40s.kube.records import NodeRecord
from k40s.network.held import digest
from k40s.node_agent.publication import NodeKeys
from k40s.node_api.bodies import pod_json
from k40s.node_api.network_messages import granted_json, window_json
from k40s.strict_json import format_json
from k40s.units import Nanoseconds, WallClock, format_duration

log = logging.getLogger(__name__)

HealthOf = Callable[[str], str]
"""Health of the station on a network, as a code."""
Look = Callable[[], Findings]
"""What the last look found."""
Trouble = Callable[[], str | None]
"""Why the state must not be published, if it must not."""
_Digest = tuple[KernelState, tuple[tuple[Entry, ...], tuple[int, ...]], str]


class NetworkReport:
    """Implements ``NodeReport``: the state is written when something else than its time changes."""

    def __init__(
        self,
        *,
        node: str,
        endpoint: str,
        lease: Nanoseconds,
        xenomai: bool,
        book: Book,
        stations: Stations,
        findings: Look,
        health: HealthOf,
        trouble: Trouble,
        now: WallClock,
    ) -> None:
        self._node = node
        self._endpoint = endpoint
        self._lease = lease
        self._xenomai = xenomai
        self._book = book
        self._stations = stations
        self._findings = findings
        self._health = health
        self._trouble = trouble
        self._now = now
        self._published: NetworkNodeState | None = None
        self._omitted = 0
        self._digests: dict[StationKey, _Digest] = {}
        """By station: what it is of, and the digest."""

    def read(self, record: NodeRecord) -> bool:
        """Nothing on the Node is for this daemon."""
        return bool(record.name)

    def contents(self) -> NodeKeys | None:
        """The node's stations, once the book was reconciled."""
        if self._trouble() is not None:
            return None
        state = self.state()
        before = self._published
        if before is None or replace(before, observed=state.observed) != state:
            self._published = before = state
        return NodeKeys(
            annotations={NETWORK_STATE_KEY: self._format(before)},
            labels={XENOMAI_LABEL: "true" if self._xenomai else None},
        )

    def confirm(self, *, wrote: bool) -> None:
        """Nothing depends on it."""

    def trouble(self) -> str | None:
        """Why the Lease must not be renewed, if it must not."""
        return self._trouble()

    def state(self) -> NetworkNodeState:
        """The state now: of the first networks by name, where the node is on too many."""
        with self._book.lock:
            networks = {
                station.key.network: StationState(
                    interface=station.key.interface,
                    back_end=BackEnd(station.back_end.name.value),
                    role=PublishedRole((_role(station, self._finding(station))).value),
                    health=self._health(station.key.network),
                    channels=self._free(station),
                    held=self._held(station),
                )
                for station in self._stations.declared()[:MOST_NETWORKS]
            }
        return NetworkNodeState(
            endpoint=self._endpoint,
            lease=self._lease,
            observed=self._now().replace(microsecond=0),
            networks=networks,
        )

    def document(self) -> str:
        """The JSON of ``GET /v1/state``."""
        with self._book.lock:
            # One that is left over from a former interface, then the one that the Network names.
            stations = sorted(self._stations.all(), key=lambda one: one.role is not None)
            entries = self._book.entries()
            networks = {one.key.network: self._station_json(one) for one in stations}
        return format_json(
            {
                "node": self._node,
                "xenomai": self._xenomai,
                "networks": networks,
                "pods": [_entry_json(entry) for entry in entries],
            }
        )

    def _format(self, state: NetworkNodeState) -> str:
        """Without the last networks, by name, where all of them are too long for the annotation."""
        with self._book.lock:
            names = [station.key.network for station in self._stations.declared()]
        for kept in range(len(state.networks), -1, -1):
            part = {name: state.networks[name] for name in sorted(state.networks)[:kept]}
            try:
                text = format_network_state(replace(state, networks=part))
            except ValueError:
                continue
            omitted = [name for name in names if name not in part]
            if omitted and len(omitted) != self._omitted:
                log.error("networks not published", extra={"networks": omitted})
            self._omitted = len(omitted)
            return text
        raise ValueError("the state of no network at all is too long")

    def _finding(self, station: Station) -> Finding:
        return self._findings().of(station.key)

    def _free(self, station: Station) -> int:
        state = self._finding(station).state
        if state is None or not state.attached:
            return 0
        return station.back_end.limits.free(state.taken | self._book.taken(station.key))

    def _held(self, station: Station) -> str | None:
        """The digest of pods' slots that the kernel shows whole, and of nobody's channels."""
        finding = self._finding(station)
        state, back_end = finding.state, station.back_end
        if state is None or not state.attached:
            return None
        entries = tuple(self._book.entries())
        known = self._digests.get(station.key)
        if known is None or known[0] is not state or known[1] != (entries, finding.foreign):
            whole = (
                (entry.pod.uid, slot.windows)
                for entry in entries
                for slot in entry.slots
                if slot.station == station.key
                and find_slot(back_end, state, slot).presence is Presence.WHOLE
            )
            known = state, (entries, finding.foreign), digest(whole, finding.foreign)
            self._digests[station.key] = known
        return known[2]

    def _station_json(self, station: Station) -> dict[str, object]:
        finding, limits = self._finding(station), station.back_end.limits
        state = finding.state
        role = kernel_role(station, state)
        return {
            "interface": station.key.interface,
            "backend": station.back_end.name.value,
            "enforced": limits.enforced,
            "declared": None if station.role is None else station.role.value,
            "role": None if role is None else role.value,
            "state": "" if state is None else state.state,
            "cycle": format_duration(station.cycle.period),
            "health": self._health(station.key.network),
            "channels": limits.channels,
            "free": self._free(station),
            "foreign": list(finding.foreign),
            "problems": [*(() if state is None else state.problems), *_texts(finding)],
        }


def _role(station: Station, finding: Finding) -> Role:
    """The kernel's role; what the Network says where the kernel says nothing."""
    return kernel_role(station, finding.state) or station.role or Role.STATION


def _texts(finding: Finding) -> list[str]:
    return [finding.error] if finding.error else []


def _entry_json(entry: Entry) -> dict[str, object]:
    return {
        "pod": pod_json(entry.pod),
        "phase": entry.phase.value,
        "confirmed": entry.confirmed,
        "bound": entry.bound,
        "slots": [
            {
                **granted_json(slot.granted),
                "joined": list(slot.channel.joined),
                "windows": [window_json(window) for window in slot.windows],
            }
            for slot in entry.slots
        ],
    }
