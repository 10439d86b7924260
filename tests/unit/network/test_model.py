from collections.abc import Callable
from datetime import datetime

import pytest

from k40s.ledger.entry import Owner
from k40s.network.model import Link, Member, Network, NetworkReservation, Path, Tdma
from k40s.tdma.model import Cycle
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

A, B = (Member(node=node, interface="eth0") for node in ("a", "b"))
CYCLE = Cycle(
    period=Nanoseconds(NS_PER_MS),
    bit_rate=10**8,
    mtu=1500,
    guard=Nanoseconds(0),
)
LINK = Link(ends=("a", "b"), delay=Nanoseconds(0))
OWNER = Owner(uid="u", namespace="n", name="p")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Member(node="a", interface="e", jitter=Nanoseconds(-1)), "jitter"),
        (lambda: Link(ends=("a", "a"), delay=Nanoseconds(0)), "two ends"),
        (lambda: Link(ends=("a", "b"), delay=Nanoseconds(-1)), "delay"),
        (lambda: Link(ends=("a", "b"), delay=Nanoseconds(0), capacity=0), "capacity"),
        (
            lambda: Tdma(cycle=CYCLE, master="a", backup_masters={"a": Nanoseconds(1)}),
            "another node",
        ),
        (
            lambda: Tdma(cycle=CYCLE, master="a", backup_masters={"b": Nanoseconds(NS_PER_US)}),
            "offsets of the backup masters",
        ),
        (lambda: Network(name="x", members=(A, A)), "member once"),
        (
            lambda: Network(
                name="x", members=(A,), tdma=Tdma(cycle=CYCLE, master="a"), links=(LINK,)
            ),
            "either a cycle, or links",
        ),
        (
            lambda: Network(name="x", members=(A,), tdma=Tdma(cycle=CYCLE, master="b")),
            "masters are members",
        ),
        (
            lambda: Network(name="x", members=(A, B), delays={("a", "b"): Nanoseconds(-1)}),
            "not negative",
        ),
        (lambda: Path(peer="a", nodes=(), bandwidth=1), "vertices"),
        (lambda: Path(peer="a", nodes=("a",), bandwidth=-1), "bandwidth"),
        (
            lambda: NetworkReservation(
                owner=OWNER,
                node="a",
                until=datetime(2026, 3, 1),  # noqa: DTZ001  # that is the fault
            ),
            "UTC",
        ),
    ],
)
def test_a_value_that_cannot_be_is_not_made(build: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build()


def test_a_member_is_found_by_its_node() -> None:
    network = Network(name="x", members=(A, B))

    assert network.member("b") == B
    assert network.member("c") is None
