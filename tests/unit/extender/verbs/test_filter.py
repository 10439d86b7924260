"""Filter: who is refused, why, and that nothing else changes."""

import json

import pytest

from k40s.cpu.admission.admit import admit
from k40s.cpu.model import PodDemand
from k40s.cpu.outcome import Rejection
from k40s.cpu.workload import resolve
from k40s.node_api.client import DaemonError
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)


def reasons(answer: dict[str, object]) -> dict[str, str]:
    """Node -> code of the reason."""
    failed = answer["FailedAndUnresolvableNodes"]
    assert isinstance(failed, dict)
    return {name: text.partition(":")[0] for name, text in failed.items()}


@pytest.mark.parametrize(
    ("criticality", "fit"),
    [("HI", ["n14"]), ("LOW", ["n14", "n13", "n7"]), ("NO", ["n14", "n13", "n7", "n6"])],
)
def test_each_criticality_needs_its_level(criticality: str, fit: list[str]) -> None:
    world = World()
    for level in (14, 13, 7, 6):
        world.add(make_node(f"n{level}", level=level))

    answer = world.filter(make_pod(criticality=criticality), ["n14", "n13", "n7", "n6"])

    assert answer["NodeNames"] == fit
    assert set(reasons(answer).values()) <= {Reason.ASSURANCE_TOO_LOW, Reason.ASSURANCE_HAZARD}


def refusal(world: World, criticality: str) -> str:
    """The text of node a's refusal."""
    failed = world.filter(make_pod(criticality=criticality), ["a"])["FailedAndUnresolvableNodes"]
    assert isinstance(failed, dict)
    return str(failed["a"])


def test_a_refusal_by_a_hazard_names_it() -> None:
    world = World()
    world.add(make_node("a", level=12, reduced=5, hazards=("cpu-system", "run-queue")))

    assert refusal(world, "HI") == (
        "assurance.hazard: a hazard on the node keeps its assurance below what the pod's "
        "criticality needs (cpu-system, run-queue)"
    )


def test_a_refusal_by_a_hazard_that_is_over_says_so() -> None:
    world = World()
    world.add(make_node("a", level=12, reduced=5))

    assert refusal(world, "HI").endswith("needs (over, and not long enough)")


def test_a_node_that_would_be_unfit_without_its_hazard_too_is_refused_for_its_level() -> None:
    world = World()
    world.add(make_node("a", level=7, reduced=5, hazards=("cpu-system",)))

    assert refusal(world, "HI") == (
        "assurance.too-low: the node's assurance is below what the pod's criticality needs"
    )


def test_refusals_of_several_nodes_keep_their_own_texts_and_are_counted_by_reason() -> None:
    world = World()
    world.add(make_node("a", level=12, reduced=5, hazards=("cpu-system",)))
    world.add(make_node("b", level=12, reduced=5, hazards=("run-queue",)))
    world.add(make_node("c", level=13))
    world.add(make_node("d", level=20))

    answer = world.filter(make_pod(criticality="HI"), ["a", "b", "c", "d"])

    failed = answer["FailedAndUnresolvableNodes"]
    assert isinstance(failed, dict)
    assert answer["NodeNames"] == ["d"]
    assert [failed[name].rpartition(" ")[2] for name in "abc"] == [
        *("(cpu-system)", "(run-queue)", "needs"),
    ]


def test_a_pod_without_our_keys_fits_everywhere_even_where_nothing_is_known() -> None:
    answer = World().filter(make_pod(), ["never-seen"])

    assert answer["NodeNames"] == ["never-seen"]


def test_a_node_that_the_cache_does_not_know_is_refused_to_low_and_hi() -> None:
    answer = World().filter(make_pod(criticality="LOW"), ["never-seen"])

    assert reasons(answer) == {"never-seen": Reason.NODE_UNKNOWN}


def test_a_silent_daemon_makes_its_node_unfit_after_its_lease_and_fit_when_heard_again() -> None:
    world = World()
    world.add(make_node("a", level=20))
    pod = make_pod(criticality="HI")

    world.clock.advance(29.9)
    before = world.filter(pod, ["a"])
    world.clock.advance(0.1)
    silent = world.filter(pod, ["a"])
    world.beat("a")
    after = world.filter(pod, ["a"])

    assert before["NodeNames"] == ["a"]
    assert reasons(silent) == {"a": Reason.ASSURANCE_STALE}
    assert after["NodeNames"] == ["a"]


def test_a_node_whose_daemon_was_never_heard_of_is_unfit() -> None:
    world = World()
    world.add(make_node("a", level=20), alive=False)

    assert reasons(world.filter(make_pod(criticality="LOW"), ["a"])) == {
        "a": Reason.ASSURANCE_NO_LEASE
    }


def test_an_unreadable_assurance_is_told_apart_from_an_absent_one() -> None:
    world = World()
    record = make_node("a", level=20)
    world.add(
        type(record)(
            name="a", labels={}, annotations={"node.k40s.io/assurance": "20"}, resource_version=""
        )
    )

    assert reasons(world.filter(make_pod(criticality="LOW"), ["a"])) == {
        "a": Reason.ASSURANCE_INVALID
    }
    world.add(make_node("b"))
    assert reasons(world.filter(make_pod(criticality="LOW"), ["b"])) == {
        "b": Reason.ASSURANCE_UNKNOWN
    }


REAL_TIME = make_pod(criticality="HI", tasks=[make_task()])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (make_node("a", level=20), Reason.CPU_NO_REAL_TIME),
        (make_node("a", level=20, cpu=make_cpu_state(), real_time=False), Reason.CPU_NO_REAL_TIME),
        (make_node("a", level=20, real_time=True), Reason.CPU_STATE_UNKNOWN),
        (make_node("a", level=20, cpu="{}"), Reason.CPU_STATE_INVALID),
        (make_node("a", level=20, cpu=make_cpu_state(mechanism="none")), Reason.CPU_NO_REAL_TIME),
        (
            make_node("a", level=20, cpu=make_cpu_state(), platform="new"),
            Reason.CPU_PLATFORM_CHANGED,
        ),
        (make_node("a", level=13, cpu=make_cpu_state()), Reason.ASSURANCE_TOO_LOW),
    ],
)
def test_a_real_time_pod_needs_a_node_that_enforces_budgets(record: object, reason: Reason) -> None:
    world = World()
    world.add(record)  # type: ignore[arg-type]  # parametrized

    assert reasons(world.filter(REAL_TIME, ["a"])) == {"a": reason}


def test_a_silent_rubicante_makes_its_node_unfit_for_real_time_alone() -> None:
    world = World()
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    world.clock.advance(30)
    world.beat("a", "malacoda")

    assert reasons(world.filter(REAL_TIME, ["a"])) == {"a": Reason.CPU_STATE_STALE}
    assert world.filter(make_pod(criticality="HI"), ["a"])["NodeNames"] == ["a"]


def test_a_real_time_pod_fits_where_admission_says_so_and_nowhere_else() -> None:
    world = World()
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    pods = [make_pod(f"p{i}", criticality="HI", tasks=[make_task(f"{i}ms")]) for i in (20, 90)]

    assert world.filter(pods[0], ["a"])["NodeNames"] == ["a"]
    assert world.filter(pods[1], ["a"])["NodeNames"] == []


def test_a_table_without_the_platform_is_refused() -> None:
    world = World()
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    task = make_task() | {"wcet": {"other": "20ms"}}

    answer = world.filter(make_pod(criticality="HI", tasks=[task]), ["a"])

    assert reasons(answer) == {"a": Reason.CPU_NO_WCET}


def test_an_incomplete_state_of_a_silent_node_is_judged_by_bandwidth_alone() -> None:
    world = World()
    world.cpu.query_fault = DaemonError("silent", reason=Reason.CPU_DAEMON_SILENT)
    node = make_cpu_node()
    full, free = (dict.fromkeys(node.cores, share) for share in (node.core_capacity, 0))
    world.add(
        make_node("full", level=20, cpu=make_cpu_state(node, complete=False, utilization=full)),
        make_node("free", level=20, cpu=make_cpu_state(node, complete=False, utilization=free)),
    )

    answer = world.filter(REAL_TIME, ["full", "free"])

    assert answer["NodeNames"] == ["free"]
    assert reasons(answer)["full"] in {Reason.CPU_NO_BANDWIDTH, Reason.CPU_NODE_BANDWIDTH}
    assert (
        world.registry.get_sample_value("k40s_extender_judged_nodes_total", {"how": "rough"}) == 2
    )


def test_when_time_is_short_the_rest_passes_on_bandwidth_alone() -> None:
    node = make_cpu_node(tick=Nanoseconds(NS_PER_S))
    world = World(patience=Nanoseconds(0))
    world.add(make_node("a", level=20, cpu=make_cpu_state(node)))

    late = world.filter(REAL_TIME, ["a"])

    assert late["NodeNames"] == ["a"]
    assert (
        world.registry.get_sample_value("k40s_extender_judged_nodes_total", {"how": "rough"}) == 1
    )


def test_a_misspelt_criticality_is_refused_everywhere_in_words_that_name_the_key() -> None:
    answer = World().filter(make_pod(criticality="HIGH"), ["a", "b"])

    failed = answer["FailedAndUnresolvableNodes"]
    assert isinstance(failed, dict)
    assert failed.keys() == {"a", "b"}
    assert len(set(failed.values())) == 1
    assert failed["a"].startswith("pod.invalid-annotation: k40s.io/criticality: found 'HIGH'")
    assert answer["Error"] == ""


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ("not json", "k40s.io/tasks: found 'not json', expected JSON"),
        ([{"name": "a", "wcet": {"edge": "1ms"}}], "k40s.io/tasks at $[0].period: found nothing"),
        ([make_task(period="100")], "k40s.io/tasks at $[0].period: found '100'"),
        ([make_task("200ms", "100ms")], "k40s.io/tasks at $[0].wcet.edge: found '200ms'"),
    ],
)
def test_bad_tasks_are_refused_in_words_that_name_key_and_path(tasks: object, words: str) -> None:
    answer = World().filter(make_pod(criticality="HI", tasks=tasks), ["a"])

    assert words in json.dumps(answer["FailedAndUnresolvableNodes"], ensure_ascii=False)


def test_the_text_of_a_refusal_is_the_same_every_time() -> None:
    world = World()
    world.add(make_node("a", level=3))
    pod = make_pod(criticality="HI")

    texts = []
    for level in (3, 4, 5):
        world.add(make_node("a", level=level))
        texts.append(json.dumps(world.filter(pod, ["a"])))

    assert len(set(texts)) == 1


def test_a_pod_is_judged_without_its_own_reservation() -> None:
    node = make_cpu_node()
    world = World(node=node)
    world.add(make_node("a", level=20, cpu=make_cpu_state(node)))
    pod = make_pod("big", uid="0123456789", criticality="HI", tasks=[make_task("40ms", "200ms")])
    world.filter(pod, ["a"])
    assert world.bind(pod, "a") == ""
    world.add(make_node("a", level=20, cpu=make_cpu_state(world.cpu.node, generation=2)))

    again = world.filter(pod, ["a"])
    others = [
        world.filter(make_pod(f"o{i}", criticality="HI", tasks=[make_task("40ms", "200ms")]), ["a"])
        for i in range(2)
    ]

    assert again["NodeNames"] == ["a"]
    assert others[0] == others[1]


def test_filter_agrees_with_plain_admission_after_a_reservation() -> None:
    node = make_cpu_node()
    world = World(node=node)
    world.add(make_node("a", level=20, cpu=make_cpu_state(node)))
    first = make_pod("first", uid="11111111", criticality="HI", tasks=[make_task("60ms", "200ms")])
    world.filter(first, ["a"])
    world.bind(first, "a")
    world.add(make_node("a", level=20, cpu=make_cpu_state(world.cpu.node, generation=2)))
    second = make_pod("second", criticality="LOW", tasks=[make_task("90ms", "200ms")])

    answer = world.filter(second, ["a"])

    seen = world.workloads.get("uid-second")
    assert seen is not None
    assert seen.contract.workload is not None
    demand = resolve(
        seen.contract.workload, pod_uid="x", platform=node.platform, factor=node.platform_factor
    )
    assert isinstance(demand, PodDemand)
    refused = isinstance(admit(world.cpu.node, demand), Rejection)
    assert (answer["NodeNames"] == []) == refused
