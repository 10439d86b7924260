"""The digest of a station's slots is that of the status if and only if they are the same."""

from dataclasses import replace

from k40s.network.held import NOTHING, digest, digests_of
from tests.fakes.controller.networks import entry, place


def test_the_order_of_pods_does_not_matter() -> None:
    one, other = ("a", (place(0), place(1))), ("b", (place(2),))

    assert digest([one, other]) == digest([other, ("a", (place(1), place(0)))])


def test_each_node_has_the_digest_of_its_own_slots() -> None:
    held = [entry("a", "edge-1", 0), entry("b", "edge-2", 1)]

    found = digests_of(held)

    assert found == {"edge-1": digest([("a", (place(0),))]), "edge-2": digest([("b", (place(1),))])}


def test_another_pod_window_or_channel_makes_another_digest() -> None:
    window = place(0)
    digests = {
        digest([("a", (window,))]),
        digest([("b", (window,))]),
        digest([("a", (replace(window, every=2),))]),
        digest([("a", (replace(window, payload=300),))]),
        digest([("a", (window,))], foreign=[3]),
        digest([("a", (window,)), ("a", (place(1),))]),
        NOTHING,
    }

    assert len(digests) == 7
