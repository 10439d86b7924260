from ipaddress import IPv4Address, IPv4Network

import pytest

from localcluster.addresses import AddressPlan
from localcluster.host.network import bridge_commands, machine_commands, node_commands, used_indexes
from localcluster.host.paths import ClusterPaths, cache_root
from localcluster.settings import EDGE_NODES, ClusterSettings, NodeSettings


def test_a_clusters_addresses_follow_from_its_index() -> None:
    plan = AddressPlan(index=1)

    assert plan.network == IPv4Network("10.77.1.0/24")
    assert plan.machine == IPv4Address("10.77.1.1")
    assert plan.control_plane == IPv4Address("10.77.1.10")
    assert plan.node(2) == IPv4Address("10.77.1.12")
    assert plan.node_pods(2) == IPv4Network("10.88.18.0/24")


def test_the_pod_networks_of_no_two_nodes_overlap() -> None:
    plans = [AddressPlan(index=index) for index in range(16)]

    networks = {plan.node_pods(number) for plan in plans for number in range(1, 15)}

    assert len(networks) == 16 * 14
    assert all(plan.node_pods(14).subnet_of(plan.pods) for plan in plans)


@pytest.mark.parametrize("index", [-1, 16])
def test_there_is_no_plan_beyond_the_sixteenth_cluster(index: int) -> None:
    with pytest.raises(ValueError, match="index"):
        AddressPlan(index=index)


@pytest.mark.parametrize("number", [0, 15])
def test_a_nodes_number_is_one_to_fourteen(number: int) -> None:
    with pytest.raises(ValueError, match="number"):
        AddressPlan(index=0).node(number)


def test_an_index_is_taken_when_the_machine_routes_into_its_networks() -> None:
    routes = [
        {"dst": "default"},
        {"dst": "10.77.3.0/24"},
        {"dst": "10.88.16.0/20"},
        {"dst": "192.0.2.7"},
    ]

    assert used_indexes(routes) == {1, 3}


def test_a_node_reaches_the_others_pods_and_services_and_nothing_else() -> None:
    commands = node_commands(AddressPlan(index=0), number=1, nodes=2)

    assert "address add 10.77.0.11/24 dev eth0" in commands
    assert [line for line in commands if line.startswith("route")] == [
        "route add 10.88.2.0/24 via 10.77.0.12",
        "route add 10.96.0.0/16 dev eth0",
    ]


def test_the_machine_gets_one_address_and_routes_to_pods() -> None:
    assert machine_commands(AddressPlan(index=0), nodes=1) == [
        "address add 10.77.0.1/24 dev k40s0",
        "link set k40s0 up",
        "route add 10.88.1.0/24 via 10.77.0.11",
    ]


def test_the_control_plane_holds_the_bridge() -> None:
    commands = bridge_commands(AddressPlan(index=0), nodes=2)

    assert "address add 10.77.0.10/24 dev cluster0" in commands
    assert "route add 10.88.2.0/24 via 10.77.0.12" in commands


@pytest.mark.parametrize("name", ["", "Demo", "a-b", "1st", "rt", "claims", "abcdefghijklm"])
def test_a_name_that_could_be_mistaken_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cluster's name"):
        ClusterSettings(name=name)


@pytest.mark.parametrize(
    "wrong",
    [{"nodes": ()}, {"nodes": EDGE_NODES * 8}, {"real_time_cpus": 0}, {"rt_capacity": 1}],
)
def test_settings_that_make_no_cluster_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not"):
        ClusterSettings(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_hardware_assurance_is_at_most_five() -> None:
    with pytest.raises(ValueError, match="0 to 5"):
        NodeSettings(name="edge-1", real_time=True, platform="edge", hardware_assurance=6)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_CACHE_HOME": "/somewhere"}, "/somewhere/k40s"),
        ({"HOME": "/home/her"}, "/home/her/.cache/k40s"),
    ],
)
def test_builds_are_kept_in_the_users_cache(environ: dict[str, str], expected: str) -> None:
    assert str(cache_root(environ)) == expected


def test_two_clusters_share_no_file() -> None:
    one, other = ClusterPaths.of("one"), ClusterPaths.of("other")

    files = [{p.kubeconfig, p.pki, p.logs, p.processes, p.node("edge-1")} for p in (one, other)]

    assert not files[0] & files[1]
