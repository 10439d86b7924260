"""The cluster's network: one bridge in the control plane's namespace, every node a port of it.

The machine itself gets one link and routes, nothing else: no bridge, no forwarding, no packet
filter rule, so a firewall or a container engine that is there neither disturbs nor is disturbed.
"""

import json
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network
from typing import Any

from localcluster.addresses import MAX_CLUSTERS, SERVICE_RANGE, AddressPlan
from localcluster.host.commands import run
from localcluster.host.sandbox import Sandbox, configure, drop_link, has_link

_BRIDGE = "cluster0"
_UPLINK = "machine0"
_NODE_LINK = "eth0"

_FORWARDING = {"net.ipv4.ip_forward": "1"}


def connect_control_plane(sandbox: Sandbox, plan: AddressPlan, *, nodes: int) -> None:
    """Make the bridge and its link to the machine, unless they exist."""
    if not has_link(sandbox, _UPLINK):
        drop_link(None, plan.link)  # of an earlier sandbox, if the kernel has not removed it yet
        configure(
            None,
            links=[f"link add {plan.link} type veth peer name {_UPLINK} netns {sandbox.anchor}"],
            settings={},
        )
        configure(sandbox, links=bridge_commands(plan, nodes=nodes), settings=_FORWARDING)
        configure(None, links=machine_commands(plan, nodes=nodes), settings={})


def connect_node(
    control: Sandbox, node: Sandbox, plan: AddressPlan, *, number: int, nodes: int
) -> None:
    """Make a node's link to the bridge, unless it exists."""
    port = f"node{number}"
    if has_link(node, _NODE_LINK):
        return
    drop_link(control, port)
    configure(
        control,
        links=[
            f"link add {port} type veth peer name {_NODE_LINK} netns {node.anchor}",
            f"link set {port} master {_BRIDGE} up",
        ],
        settings={},
    )
    configure(node, links=node_commands(plan, number=number, nodes=nodes), settings=_FORWARDING)


def connect_tap(control: Sandbox, *, number: int) -> str:
    """Make a port of the bridge for a guest, if there is none, and return its name."""
    port = f"node{number}"
    if not has_link(control, port):
        links = [
            f"tuntap add dev {port} mode tap",
            f"link set {port} master {_BRIDGE} up",
        ]
        configure(control, links=links, settings={})
    return port


def bridge_commands(plan: AddressPlan, *, nodes: int) -> list[str]:
    """``ip`` commands in the control plane's namespace."""
    return [
        "link set lo up",
        f"link add {_BRIDGE} type bridge",
        f"address add {plan.control_plane}/{plan.network.prefixlen} dev {_BRIDGE}",
        f"link set {_UPLINK} master {_BRIDGE} up",
        f"link set {_BRIDGE} up",
        *_routes(plan, others=range(1, nodes + 1)),
        _service_route(_BRIDGE),
    ]


def node_commands(plan: AddressPlan, *, number: int, nodes: int) -> list[str]:
    """``ip`` commands in a node's namespace."""
    return [
        "link set lo up",
        f"address add {plan.node(number)}/{plan.network.prefixlen} dev {_NODE_LINK}",
        f"link set {_NODE_LINK} up",
        *_routes(plan, others=[other for other in range(1, nodes + 1) if other != number]),
        _service_route(_NODE_LINK),
    ]


def machine_commands(plan: AddressPlan, *, nodes: int) -> list[str]:
    """``ip`` commands on the machine itself."""
    return [
        f"address add {plan.machine}/{plan.network.prefixlen} dev {plan.link}",
        f"link set {plan.link} up",
        *_routes(plan, others=range(1, nodes + 1)),
    ]


def used_indexes(routes: Iterable[dict[str, Any]] | None = None) -> frozenset[int]:
    """The indexes whose networks the machine reaches by a route of its own already.

    ``routes`` are as ``ip -json route`` shows them; None asks the machine.
    """
    if routes is None:
        routes = json.loads(run(["ip", "-4", "-json", "route", "show"]) or "[]")
    networks = [IPv4Network(route["dst"]) for route in routes if route["dst"][0].isdigit()]
    return frozenset(
        index
        for index in range(MAX_CLUSTERS)
        for plan in [AddressPlan(index=index)]
        if any(
            network.overlaps(plan.network) or network.overlaps(plan.pods) for network in networks
        )
    )


def _routes(plan: AddressPlan, *, others: Sequence[int]) -> list[str]:
    return [f"route add {plan.node_pods(other)} via {plan.node(other)}" for other in others]


def _service_route(link: str) -> str:
    # A Service's address must have a route before kube-proxy's rule can rewrite it. There is no
    # default route: nothing in a cluster reaches, or is reached from, beyond the machine.
    return f"route add {SERVICE_RANGE} dev {link}"
