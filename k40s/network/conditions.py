"""Conditions of a Network: whether it is declared rightly, and whether its stations are healthy."""

from collections.abc import Collection, Mapping
from enum import StrEnum, unique

from k40s.ledger.conditions import Condition, Truth, listed
from k40s.network.model import Network, NetworkState

HEALTHY = "ok"
"""The code of a station without a fault, as daemons publish it."""


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
        message = f"spec.members: there is no node {listed(unknown)}"
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
        message = f"not healthy: {listed(faults)}"
    elif not members:
        status, reason = Truth.UNKNOWN, ConditionReason.STATIONS_UNKNOWN
        message = "the members cannot be read"
    elif silent:
        status, reason = Truth.UNKNOWN, ConditionReason.STATIONS_UNKNOWN
        message = f"no state of {listed(silent)}: no network daemon, or it is silent"
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
