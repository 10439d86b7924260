"""Whatever nodes' monitors ask for, whom the controller evicts keeps within its rules."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from k40s.assurance.eviction import EvictionPolicy, NodePod, find_eviction_obstacle, remember
from k40s.assurance.migration.policy import HOUR
from k40s.assurance.migration.record import History
from k40s.criticality import Criticality
from k40s.units import NS_PER_S

NODES = ("a", "b")
POLICY = EvictionPolicy(enabled=True, per_hour=4)
PODS = st.lists(
    st.builds(
        NodePod,
        uid=st.uuids().map(str),
        namespace=st.sampled_from(["x", "y", "z"]),
        name=st.just("p"),
        node=st.sampled_from(NODES),
        criticality=st.sampled_from([None, *Criticality]),
        kind=st.sampled_from(["", "ReplicaSet", "StatefulSet", "DaemonSet"]),
        owner=st.sampled_from([f"Deployment {n}" for n in range(8)]),
        system=st.booleans(),
        static=st.booleans(),
        ending=st.booleans(),
    ),
    min_size=2,
    max_size=12,
    unique_by=lambda pod: pod.uid,
)
REQUESTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 900)), max_size=60)


@given(pods=PODS, requests=REQUESTS)
def test_nobody_is_evicted_but_less_critical_pods_within_every_limit(
    pods: list[NodePod], requests: list[tuple[int, int]]
) -> None:
    now, history = 10**18, History()
    done: list[tuple[int, NodePod]] = []
    for number, seconds in requests:
        now += seconds * NS_PER_S
        pod = pods[number % len(pods)]
        beside = [one for one in pods if one.node == pod.node and one.uid != pod.uid]
        if find_eviction_obstacle(pod, beside, history, POLICY, now) is None:
            history = remember(history, pod, now)
            done.append((now, pod))

    for at, pod in done:
        more_critical = [
            one
            for one in pods
            if one.node == pod.node
            and not one.ending
            and one.criticality is not None
            and pod.criticality is not None
            and one.criticality > pod.criticality
        ]
        hour = [one for when, one in done if at <= when < at + HOUR]
        assert more_critical
        assert not any((pod.system, pod.static, pod.ending))
        assert pod.kind in ("ReplicaSet", "StatefulSet")
        assert len(hour) <= POLICY.per_hour
        assert all(sum(one.node == name for one in hour) <= POLICY.per_node for name in NODES)
        assert all(sum(one.namespace == n for one in hour) <= POLICY.per_namespace for n in "xyz")
    gaps = [late[0] - early[0] for early, late in itertools.pairwise(done)]
    assert all(gap >= POLICY.interval for gap in gaps)
