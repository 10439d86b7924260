"""Conditions of a Network: whether it is declared rightly, and whether its stations are healthy."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum, unique

from k40s.network.model import Network, NetworkState

HEALTHY = "ok"
"""The code of a station without a fault, as daemons publish it."""
LONGEST_MESSAGE = 1024
"""Characters that the definition of Networks allows, of a message and of a table's line."""
MOST_NAMED = 8
"""Nodes that a message names; of the others it says how many there are."""


def shortened(text: str) -> str:
    """As much of a text as the definition allows: a longer one would have the write refused."""
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


@unique
class Truth(StrEnum):
    """The status of a condition, by the words of Kubernetes."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@unique
class ConditionReason(StrEnum):
    """Why a condition has its status: one CamelCase word."""

    ACCEPTED = "Accepted"
    INVALID_FIELD = "InvalidField"
    UNKNOWN_MEMBERS = "UnknownMembers"
    SLOTS_OVERLAP = "SlotsOverlap"
    STATIONS_HEALTHY = "StationsHealthy"
    STATIONS_UNHEALTHY = "StationsUnhealthy"
    STATIONS_UNKNOWN = "StationsUnknown"
    NOT_MONITORED = "NotMonitored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition. ``since`` is when its status last changed, None before it is written.

    ``generation`` is that of the Network for which it was found.
    """

    kind: str
    status: Truth
    reason: str
    message: str
    generation: int
    since: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", shortened(self.message))

    def following(self, former: "Condition | None", now: datetime) -> "Condition":
        """The same, with the time of the former one unless the status has changed.

        Times are whole seconds, as the API server keeps them.
        """
        if former is not None and former.status is self.status and former.since is not None:
            return replace(self, since=former.since)
        return replace(self, since=now.replace(microsecond=0))


def judge_validity(state: NetworkState, nodes: Collection[str], *, overlap: str = "") -> Condition:
    """Condition ``Valid``: the message names the field that is wrong.

    ``nodes`` are the names of all Nodes. ``overlap`` says which slots in use exclude each other
    under the cycle as it is declared, which they can only after that was changed.
    """
    unknown = sorted({one.node for one in state.network.members} - set(nodes))
    if state.fault is not None:
        status, reason, message = Truth.FALSE, ConditionReason.INVALID_FIELD, state.fault
    elif unknown:
        status, reason = Truth.FALSE, ConditionReason.UNKNOWN_MEMBERS
        message = f"spec.members: there is no node {_listed(unknown)}"
    elif overlap:
        status, reason = Truth.FALSE, ConditionReason.SLOTS_OVERLAP
        message = f"status.reservations: {overlap}"
    else:
        status, reason = Truth.TRUE, ConditionReason.ACCEPTED
        message = "pods may require this network"
    return Condition(
        kind="Valid",
        status=status,
        reason=reason.value,
        message=message,
        generation=state.network.generation,
    )


def judge_health(network: Network, health: Mapping[str, str]) -> Condition:
    """Condition ``Healthy``, from the codes that the members' daemons publish.

    A node that is missing in ``health`` has published nothing, or its daemon is silent. A network
    without slots needs no daemon: there only published faults count.
    """
    members = [one.node for one in network.members]
    faults = [
        f"{node} ({health[node]})" for node in members if health.get(node, HEALTHY) != HEALTHY
    ]
    silent = [node for node in members if node not in health] if network.tdma is not None else []
    if faults:
        status, reason = Truth.FALSE, ConditionReason.STATIONS_UNHEALTHY
        message = f"not healthy: {_listed(faults)}"
    elif not members:
        status, reason = Truth.UNKNOWN, ConditionReason.STATIONS_UNKNOWN
        message = "the members cannot be read"
    elif silent:
        status, reason = Truth.UNKNOWN, ConditionReason.STATIONS_UNKNOWN
        message = f"no state of {_listed(silent)}: no network daemon, or it is silent"
    elif network.tdma is None and not health:
        status, reason = Truth.TRUE, ConditionReason.NOT_MONITORED
        message = "no station reports a fault; a network without slots needs none"
    else:
        status, reason = Truth.TRUE, ConditionReason.STATIONS_HEALTHY
        message = f"{len(members)} of {len(members)} stations are healthy"
        if network.tdma is None:
            message = "no station reports a fault"
    return Condition(
        kind="Healthy",
        status=status,
        reason=reason.value,
        message=message,
        generation=network.generation,
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    rest = len(names) - MOST_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
