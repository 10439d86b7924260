"""A local cluster's real-time node on a kernel with cgroup v2 only: its CPU is a root domain."""


def test_the_node_has_its_cpu_alone(facts: dict[str, object]) -> None:
    assert (facts["node-why"], facts["node-again"]) == ("", "")
    assert facts["node-partition"] == "root"
    assert facts["node-left"] == "0"


def test_what_is_left_is_not_named_by_another_node(facts: dict[str, object]) -> None:
    assert facts["node-other-names"] == ""


def test_a_pod_may_be_held_by_sched_deadline_without_a_partition_of_its_own(
    facts: dict[str, object],
) -> None:
    assert facts["node-affinity"] == [1]
    assert facts["node-offer"] == "partitioned"


def test_everything_is_as_before_when_the_cluster_is_gone(facts: dict[str, object]) -> None:
    assert facts["node-left-after"] == "0-1"
    assert facts["node-controllers-as-before"] is True
