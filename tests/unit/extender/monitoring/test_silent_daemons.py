"""Which daemons the extender counts as silent."""

from extender.cache.snapshot import NodeView
from extender.monitoring.silent_daemons import SILENCE, count_silent
from k40s.reasons import Reason


def view(
    *,
    assurance: Reason | None = None,
    cpu: Reason | None = Reason.CPU_NO_REAL_TIME,
    station: Reason | None = Reason.NETWORK_NO_DAEMON,
) -> NodeView:
    return NodeView(
        name="edge-1",
        real_time=cpu is None,
        level=12,
        reduced=0,
        hazards=(),
        assurance=assurance,
        cpu=None,
        cpu_refusal=cpu,
        holders=frozenset(),
        station_refusal=station,
    )


def counts(*nodes: NodeView) -> dict[str, int]:
    return {daemon: count_silent(nodes, daemon) for daemon in SILENCE}


def test_a_node_without_real_time_and_without_stations_lacks_no_daemon() -> None:
    assert counts(view(), view(cpu=None, station=None)) == dict.fromkeys(SILENCE, 0)


def test_each_daemon_is_counted_by_the_lease_that_it_does_not_renew() -> None:
    nodes = [
        view(assurance=Reason.ASSURANCE_STALE),
        view(assurance=Reason.ASSURANCE_NO_LEASE, cpu=Reason.CPU_STATE_STALE),
        view(cpu=Reason.CPU_NO_LEASE, station=Reason.NETWORK_STATE_STALE),
    ]

    assert counts(*nodes) == {"malacoda": 2, "rubicante": 2, "scarmiglione": 1}


def test_a_state_that_cannot_be_read_is_no_silence() -> None:
    node = view(
        assurance=Reason.ASSURANCE_INVALID,
        cpu=Reason.CPU_STATE_INVALID,
        station=Reason.NETWORK_STATE_INVALID,
    )

    assert counts(node) == dict.fromkeys(SILENCE, 0)
