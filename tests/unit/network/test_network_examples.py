"""The Networks of the examples can be used, and their pods find what they require."""

from pathlib import Path
from typing import Any

import yaml

from k40s.annotations import NETWORK_KEY, parse_network_requirements
from k40s.ledger.entry import Owner
from k40s.network.fit import find_reservations
from k40s.network.model import NetworkState
from k40s.network.objects import parse_network
from k40s.reasons import Reason

EXAMPLES = Path(__file__).parents[3] / "manifests" / "examples" / "network"


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return found


def states() -> dict[str, NetworkState]:
    return {name: parse_network(document(name)) for name in ("plant", "office")}


def test_the_networks_of_the_examples_can_be_used() -> None:
    assert [state.fault for state in states().values()] == [None, None]


def test_both_pods_of_the_examples_fit_on_either_node() -> None:
    for name in ("sensor", "recorder"):
        needs = parse_network_requirements(document(name)["metadata"]["annotations"][NETWORK_KEY])
        owner = Owner(uid=name, namespace="default", name=name)
        for node in ("edge-1", "edge-2"):
            found = find_reservations(states(), node, owner, needs, places=lambda _: "edge-1")
            assert not isinstance(found, Reason)
