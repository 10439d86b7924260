"""Laws of filter, over random clusters and pods."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from k40s.annotations import parse_cpu_state
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import ADMISSION_TEST, Admission, Rejection
from k40s.cpu.workload import resolve
from k40s.errors import UnavailableError
from k40s.kube.records import NodeRecord
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.world import (
    PLATFORM,
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)

criticalities = st.sampled_from([None, "NO", "LOW", "HI", "high", ""])
wcets = st.integers(1, 120).map(lambda ms: f"{ms}ms")
periods = st.sampled_from(["100ms", "200ms", "1s"])
tasks = st.lists(st.builds(make_task, wcets, periods, st.sampled_from("abc")), max_size=2)
levels = st.one_of(st.none(), st.integers(0, 20))


@st.composite
def cpu_nodes(draw: st.DrawFn) -> CpuNode:
    """A node to which up to three pods were admitted, one after another."""
    node = make_cpu_node(
        cores=range(draw(st.integers(0, 2))),
        tick=Nanoseconds(draw(st.sampled_from([0, 1, 4])) * NS_PER_MS),
        node_capacity=draw(st.sampled_from([Fraction(9, 20), Fraction(19, 20), Fraction(1)])),
    )
    for number in range(draw(st.integers(0, 3))):
        pod = make_pod(f"h{number}", criticality="LOW", tasks=[make_task(draw(wcets), "1s")])
        demand = demand_of(pod, f"held{number}", node)
        outcome = admit(node, demand)
        if isinstance(outcome, Admission):
            node = outcome.node
    return node


@st.composite
def clusters(draw: st.DrawFn) -> list[NodeRecord]:
    """Up to five nodes, some of them real-time, some mute, some broken."""
    records = []
    for number in range(draw(st.integers(0, 5))):
        node = draw(st.one_of(st.none(), st.just("{broken"), cpu_nodes()))
        test = draw(st.sampled_from([ADMISSION_TEST, ADMISSION_TEST, "plant-test.1"]))
        complete = draw(st.sampled_from([True, True, False]))
        known = isinstance(node, CpuNode)
        cpu = make_cpu_state(node, test=test, complete=complete) if known else node
        records.append(make_node(f"n{number}", level=draw(levels), cpu=cpu))
    return records


pods = st.builds(
    make_pod,
    st.just("pod"),
    criticality=criticalities,
    tasks=st.one_of(st.none(), tasks, st.just("?")),
)
answers = st.sampled_from([None, Reason.CPU_NOT_SCHEDULABLE, UnavailableError("silent")])
"""What every node that is asked says: its honest judgement, a refusal, or nothing."""
names = st.lists(st.sampled_from([f"n{i}" for i in range(7)]), unique=True)


def demand_of(pod: dict[str, object], uid: str, node: CpuNode) -> PodDemand:
    meta = pod["metadata"]
    assert isinstance(meta, dict)
    contract = World().workloads.read(
        labels=meta["labels"], annotations=meta["annotations"], containers=("main",)
    )
    assert contract.workload is not None
    demand = resolve(contract.workload, pod_uid=uid, platform=PLATFORM, factor=node.platform_factor)
    assert isinstance(demand, PodDemand)
    return demand


def build(records: list[NodeRecord], answer: Reason | UnavailableError | None = None) -> World:
    world = World()
    world.add(*records)
    world.cpu.query_reason = answer if isinstance(answer, Reason) else None
    world.cpu.query_fault = answer if isinstance(answer, UnavailableError) else None
    return world


@given(records=clusters(), pod=pods, asked=names, said=answers)
def test_filter_partitions_its_input_or_says_that_a_node_gave_no_answer(
    records: list[NodeRecord],
    pod: dict[str, object],
    asked: list[str],
    said: Reason | UnavailableError | None,
) -> None:
    answer = build(records, said).filter(pod, asked)

    if answer["Error"]:
        assert isinstance(said, UnavailableError)
        assert answer["Error"] == f"{Reason.CPU_NO_ANSWER.value}: {Reason.CPU_NO_ANSWER.text}"
        assert (answer["NodeNames"], answer["FailedAndUnresolvableNodes"]) == (None, {})
        return
    fit, refused = answer["NodeNames"], answer["FailedAndUnresolvableNodes"]
    assert isinstance(fit, list)
    assert isinstance(refused, dict)
    assert sorted([*fit, *refused]) == sorted(asked)
    assert answer["FailedNodes"] == {}
    assert answer["Error"] == ""


@given(records=clusters(), pod=pods, asked=names, said=answers)
def test_a_repeat_gets_the_same_answer(
    records: list[NodeRecord],
    pod: dict[str, object],
    asked: list[str],
    said: Reason | UnavailableError | None,
) -> None:
    world = build(records, said)

    first = world.filter(pod, asked), world.prioritize(pod, asked)

    assert (world.filter(pod, asked), world.prioritize(pod, asked)) == first
    assert build(records, said).filter(pod, asked) == first[0]


@given(records=clusters(), pod=pods, asked=names)
def test_no_node_below_the_threshold_is_ever_fit(
    records: list[NodeRecord], pod: dict[str, object], asked: list[str]
) -> None:
    world = build(records)
    meta = pod["metadata"]
    assert isinstance(meta, dict)
    needed = {"LOW": 7, "HI": 14}.get(meta["annotations"].get("k40s.io/criticality"), 0)

    fit = world.filter(pod, asked)["NodeNames"]

    assert isinstance(fit, list)
    views = world.cache.snapshot().nodes
    assert all(needed == 0 or views[name].level >= needed for name in fit)


@given(records=clusters(), pod=pods, asked=names)
def test_scores_are_whole_numbers_from_0_to_10(
    records: list[NodeRecord], pod: dict[str, object], asked: list[str]
) -> None:
    scores = build(records).prioritize(pod, asked)

    assert set(scores) == set(asked)
    assert all(isinstance(score, int) and 0 <= score <= 10 for score in scores.values())


@given(node=cpu_nodes(), wcet=wcets, period=periods)
def test_filter_says_what_plain_admission_says(node: CpuNode, wcet: str, period: str) -> None:
    world = World()
    state = make_cpu_state(node)
    record = make_node("n", level=20, cpu=state)
    world.add(record)
    if int(wcet[:-2]) > {"100ms": 100, "200ms": 200, "1s": 1000}[period]:
        return
    pod = make_pod(criticality="HI", tasks=[make_task(wcet, period)])

    answer = world.filter(pod, ["n"])

    published = parse_cpu_state(record.annotations["node.k40s.io/cpu-state"]).node
    outcome = admit(published, demand_of(pod, "other", node))
    if isinstance(outcome, Rejection):
        text = f"{outcome.reason.value}: {outcome.reason.text}"
        assert answer["FailedAndUnresolvableNodes"] == {"n": text}
        assert outcome.reason in Reason
    else:
        assert answer["NodeNames"] == ["n"]
