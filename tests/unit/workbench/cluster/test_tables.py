"""Tables of nodes and pods, and one node in full."""

import pytest

from k40s.annotations import ASSURANCE_KEY
from tests.fakes.observed_cluster import (
    ObservedCluster,
    assurance_text,
    crowded,
    event_item,
    lease_item,
    node_item,
    pod_item,
    reservation,
)
from workbench.cluster_tables import cells
from workbench.cluster_tables.node_page import node_page
from workbench.cluster_tables.nodes import nodes_table, sort_nodes
from workbench.cluster_tables.pods import pods_table, servers_of

EMPTY = "[----------]"


def troubled() -> ObservedCluster:
    """edge-2 is calm, edge-10 has a hazard and a suspect, edge-9 a silent daemon."""
    cluster = ObservedCluster()
    for name in ("edge-2", "edge-10"):
        cluster.add_node(name)
    text = assurance_text(state=4, hazards=["cpu_steal"])
    cluster.nodes[1]["metadata"]["annotations"][ASSURANCE_KEY] = text
    cluster.nodes.append(node_item("edge-9"))
    cluster.leases += [lease_item("malacoda-edge-9", age=300), lease_item("rubicante-edge-9")]
    cluster.pods.append(pod_item("pump", node="edge-10", criticality=None))
    about = {"kind": "Pod", "name": "pump", "namespace": "plant", "uid": "uid-pump"}
    cluster.events.append(event_item("SuspectFrozen", "pod plant/pump is frozen: why", about=about))
    return cluster


def test_nodes_with_trouble_come_first_and_others_by_number() -> None:
    overview = troubled().overview()

    assert [one.name for one in sort_nodes(overview.nodes)] == ["edge-9", "edge-10", "edge-2"]
    assert [line.split() for line in nodes_table(overview).splitlines()] == [
        ["NODE", "READY", "LEVEL", "CORES", "PODS", "HAZARDS", "SUSPECT", "DAEMONS"],
        ["edge-9", "yes", "-", EMPTY, "0.00/1.80", "0", "-", "-", "malacoda", "silent", "5m"],
        [
            *("edge-10", "yes", "12", "(-6)", EMPTY, "0.00/1.80", "1", "cpu_steal"),
            *("plant/pump", "(frozen)", "ok"),
        ],
        ["edge-2", "yes", "18", EMPTY, "0.00/1.80", "0", "-", "-", "ok"],
    ]


def test_a_wide_table_says_why_a_node_is_not_usable() -> None:
    line = nodes_table(troubled().overview(), wide=True).splitlines()[1]

    assert line.split()[-4:] == ["edge", "1:0%", "2:0%", "assurance.stale"]


def test_pods_that_may_be_hidden_are_not_counted() -> None:
    line = nodes_table(crowded(1, 3).overview(), pods_known=False).splitlines()[1]

    assert line.split()[5] == "-"


def test_no_objects_are_said_to_be_none() -> None:
    overview = ObservedCluster().overview()

    assert nodes_table(overview) == "No nodes found."
    assert pods_table(overview, {}) == "No pods found that ask anything of k40s."


def test_pods_that_do_not_run_come_first() -> None:
    cluster = crowded(1, 2)
    cluster.pods.append(pod_item("waits"))
    overview = cluster.overview()

    table = pods_table(overview, servers_of(overview)).splitlines()

    assert [line.split()[1] for line in table[1:]] == ["waits", "worker-0-0", "worker-0-1"]
    assert table[1].endswith("k40s-scheduler has not placed it yet")
    assert table[2].split()[5:8] == ["0", "2ms/100ms", "yes"]


def test_a_namespace_that_was_chosen_has_no_column() -> None:
    overview = crowded(1, 1).overview()

    assert pods_table(overview, {}, namespaces=False).startswith("NAME ")


def test_a_long_reason_is_cut_unless_all_is_asked_for() -> None:
    cluster = ObservedCluster()
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "no " * 60,
    }
    cluster.pods.append(pod_item("pump", conditions=[condition]))
    overview = cluster.overview()

    assert pods_table(overview, {}).endswith("…")
    assert pods_table(overview, {}, wide=True).endswith("no no")


def test_a_node_in_full_has_cores_servers_pods_and_happenings() -> None:
    cluster = ObservedCluster()
    held = [reservation("uid-pump")]
    cluster.add_node("edge", held=held)
    cluster.pods.append(pod_item("pump", node="edge", held=held))
    about = {"kind": "Node", "name": "edge"}
    cluster.events.append(event_item("NoSuspectNamed", "nobody", about=about, age=240))
    overview = cluster.overview()

    facts, cores, servers, pods, happenings = node_page(overview, overview.nodes[0]).split("\n\n")

    assert "LEVEL      18 of 20: hardware 5, software 3, state 10" in facts
    assert cores.splitlines()[1].startswith("1     0.100  0.800  0.900     [###---")
    assert servers.splitlines()[1].split() == [
        *("1", "plant", "pump", "main", "HI", "rt-cgroup", "10ms", "100ms", "0.100")
    ]
    assert pods.splitlines()[1].split()[:2] == ["plant", "pump"]
    assert happenings.splitlines()[1].split() == ["4m", "suspect", "-", "nobody"]


@pytest.mark.parametrize(
    ("used", "drawn"),
    [
        (0.0, "[----------]"),
        (0.001, "[#---------]"),
        (0.899, "[#########-]"),
        (0.9, "[##########]"),
    ],
)
def test_a_bar_is_full_only_where_nothing_is_left(used: float, drawn: str) -> None:
    assert cells.bar(used, 0.9) == drawn


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d")]
)
def test_ages_are_whole_units(seconds: int, told: str) -> None:
    assert cells.span(seconds) == told
