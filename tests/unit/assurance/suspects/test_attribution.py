from dataclasses import replace

import pytest

from k40s.assurance.suspects.attribution import AttributionState, attribute
from k40s.assurance.suspects.usage import NodeUsage, PodUsage
from k40s.assurance.suspects.verdict import (
    AttributionPolicy,
    Finding,
    Role,
    Verdict,
)
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

POLICY = AttributionPolicy()
CPUS = frozenset({1})
MS = NS_PER_MS


class Node:
    """Two samples a second, by exact figures: what each pod uses of the CPU, and threads.

    A load is (CPU use, system time, runnable threads). The key "" is the host.
    """

    def __init__(self) -> None:
        self.state = AttributionState()
        self.pods: dict[str, PodUsage] = {}
        self.at = 500 * NS_PER_S
        self._host = (0.0, 0.0)
        self.hidden: set[str] = set()
        self.node_hidden = False

    def pod(self, uid: str, **values: object) -> None:
        pod = PodUsage(
            name=f"default/{uid}",
            criticality=Criticality.NO,
            used=0,
            system=0,
            runnable=0.0,
            pids=1,
        )
        self.pods[uid] = replace(pod, **values)  # type: ignore[arg-type]  # fields of a pod

    def spend(
        self,
        loads: dict[str, tuple[float, float, float]],
        seconds: float,
        *,
        high: bool = False,
        alarm: bool = False,
        cleared: tuple[str, ...] = (),
    ) -> Finding | None:
        for _ in range(round(seconds * 2)):
            self.at += 500 * MS
            for uid, (used, system, threads) in loads.items():
                if uid:
                    pod = self.pods[uid]
                    self.pods[uid] = replace(
                        pod,
                        used=(pod.used or 0) + round(used * 500 * MS),
                        system=(pod.system or 0) + round(system * 500 * MS),
                        runnable=threads,
                    )
                else:
                    self._host = (
                        self._host[0] + used * 500 * MS,
                        self._host[1] + system * 500 * MS,
                    )
            self.state = attribute(
                self.state,
                POLICY,
                self._sample(loads.get("", (0.0, 0.0, 0.0))[2]),
                high=high,
                alarm=alarm,
                threatened=Criticality.HI,
                cleared=cleared,
            )
        return self.state.finding

    def alarm(self, loads: dict[str, tuple[float, float, float]], seconds: float = 3) -> Finding:
        """An alarm after two and a half seconds of high samples."""
        self.spend(loads, 2.5, high=True)
        finding = self.spend(loads, seconds, high=True, alarm=True)
        assert finding is not None
        return finding

    def _sample(self, threads: float) -> NodeUsage:
        used = self._host[0] + sum(pod.used or 0 for pod in self.pods.values())
        system = self._host[1] + sum(pod.system or 0 for pod in self.pods.values())
        shown = {
            uid: replace(pod, used=None, system=None, runnable=None, pids=None)
            if uid in self.hidden
            else pod
            for uid, pod in self.pods.items()
        }
        return NodeUsage(
            at=Nanoseconds(self.at),
            cpus=CPUS,
            used=None if self.node_hidden else round(used),
            system=None if self.node_hidden else round(system),
            runnable=threads + sum(pod.runnable or 0.0 for pod in self.pods.values()),
            pods=shown,
        )


IDLE = (0.0, 0.0, 0.0)
BUSY = (0.5, 0.4, 8.0)


@pytest.fixture
def node() -> Node:
    """Three idle pods, watched for 30 seconds."""
    found = Node()
    for uid in "abc":
        found.pod(uid)
    found.spend(dict.fromkeys("abc", IDLE) | {"": (0.05, 0.02, 0.0)}, 30)
    return found


HOST = {"": (0.05, 0.02, 0.0)}


def test_a_finding_keeps_its_evidence(node: Node) -> None:
    finding = node.alarm(HOST | {"a": BUSY, "b": (0.1, 0.0, 0.0)})

    assert finding.verdict is Verdict.NAMED
    assert finding.threads == "runnable"
    assert finding.window == 2 * NS_PER_S
    assert finding.at - finding.onset == 5 * NS_PER_S
    assert [share.uid for share in finding.shares] == ["a", "b", "", "c"]
    first = finding.shares[0]
    assert finding.culprit == first
    assert (first.name, first.role) == ("default/a", Role.SUSPECT)
    assert (first.system, first.used, first.threads) == pytest.approx((1.0, 5 / 6, 1.0))
    assert (first.rise.system, first.rise.used, first.rise.threads) == pytest.approx(
        (0.4, 0.5, 8.0)
    )


def test_it_is_named_by_the_second_sample_that_agrees(node: Node) -> None:
    assert node.alarm(HOST | {"a": BUSY}, seconds=0.5).verdict is Verdict.UNCONFIRMED
    finding = node.spend(HOST | {"a": BUSY}, 0.5, high=True, alarm=True)

    assert finding is not None
    assert finding.verdict is Verdict.NAMED


def test_there_is_no_finding_without_an_alarm(node: Node) -> None:
    assert node.spend(HOST | {"a": BUSY}, 20, high=True) is None


def test_the_baseline_is_that_before_the_first_high_sample_however_late_the_alarm(
    node: Node,
) -> None:
    node.spend(HOST | {"a": BUSY}, 25, high=True)
    finding = node.spend(HOST | {"a": BUSY}, 1, high=True, alarm=True)

    assert finding is not None
    assert finding.verdict is Verdict.NAMED


def test_high_samples_that_raise_no_alarm_become_the_baseline_at_last(node: Node) -> None:
    node.spend(HOST | {"a": BUSY}, 300, high=True)
    finding = node.spend(HOST | {"a": BUSY}, 2, high=True, alarm=True)

    assert finding is not None
    assert finding.verdict is Verdict.UNCLEAR


def test_a_baseline_outlasts_a_hazard_and_moves_on_after_it(node: Node) -> None:
    node.alarm(HOST | {"a": BUSY}, seconds=200)
    node.spend(HOST | {"a": IDLE}, 15)
    assert node.alarm(HOST | {"a": BUSY}).verdict is Verdict.NAMED

    node.spend(HOST | {"a": IDLE, "b": BUSY}, 60)
    assert node.alarm(HOST | {"b": BUSY}).verdict is Verdict.UNCLEAR


def test_without_enough_time_before_it_nobody_is_named() -> None:
    node = Node()
    node.pod("a")
    node.spend(HOST | {"a": IDLE}, 9)

    assert node.alarm(HOST | {"a": BUSY}).verdict is Verdict.NO_BASELINE


def test_nor_where_no_pod_is_lower(node: Node) -> None:
    for uid in "abc":
        node.pods[uid] = replace(node.pods[uid], criticality=Criticality.HI)

    assert node.alarm(HOST | {"a": BUSY}).verdict is Verdict.NO_SUSPECT


def test_a_lower_pod_that_may_also_run_elsewhere_is_outside_and_not_missing(node: Node) -> None:
    for uid in "abc":
        node.pods[uid] = replace(node.pods[uid], cpus=frozenset({0, 1}))

    assert node.alarm(HOST | {"a": BUSY}).verdict is Verdict.OUTSIDE


def test_pods_whose_own_time_is_unknown_make_it_incomplete(node: Node) -> None:
    node.hidden = set("abc")

    assert node.alarm(HOST | {"a": BUSY}).verdict is Verdict.INCOMPLETE


def test_nor_when_the_nodes_own_time_is_unknown(node: Node) -> None:
    node.node_hidden = True

    assert node.alarm(HOST | {"a": BUSY}).verdict is Verdict.INCOMPLETE


def test_a_pod_whose_counters_are_missing_is_part_of_what_is_outside(node: Node) -> None:
    node.hidden = {"a"}

    finding = node.alarm(HOST | {"a": BUSY, "b": (0.15, 0.1, 2.0)})

    assert finding.verdict is Verdict.OUTSIDE


def test_so_is_one_that_had_no_counters_before() -> None:
    node = Node()
    node.pod("a")
    node.pod("b")
    node.hidden = {"a"}
    node.spend(HOST | {"a": BUSY, "b": IDLE}, 30)
    node.hidden = set()

    finding = node.alarm(HOST | {"a": BUSY, "b": (0.05, 0.0, 0.0)})

    assert finding.culprit is None


def test_a_counter_that_starts_over_accuses_nobody(node: Node) -> None:
    node.spend(HOST | {"a": BUSY}, 2, high=True)
    node.pods["a"] = replace(node.pods["a"], used=0, system=0)
    finding = node.spend(HOST | {"a": BUSY}, 1, high=True, alarm=True)

    assert finding is not None
    assert finding.culprit is None


def test_a_new_pod_has_used_nothing_before(node: Node) -> None:
    node.pod("new")

    assert node.alarm(HOST | {"new": BUSY}).verdict is Verdict.NAMED


def test_a_pod_that_is_only_newly_seen_may_always_have_been_so_busy(node: Node) -> None:
    node.pod("old", used=3000 * NS_PER_S, system=2000 * NS_PER_S, pids=9)

    finding = node.alarm(HOST | {"old": BUSY})

    assert finding.culprit is None
    assert next(share.used for share in finding.shares if share.uid == "old") == 0


@pytest.mark.parametrize("cpus", [{0}, {0, 1}])
def test_totals_over_other_cpus_say_nothing(node: Node, cpus: set[int]) -> None:
    node.pods["a"] = replace(node.pods["a"], cpus=frozenset(cpus))

    finding = node.alarm(HOST | {"a": BUSY})

    assert finding.culprit is None


def test_totals_of_a_pod_that_stays_on_the_nodes_cpus_do(node: Node) -> None:
    node.pods["a"] = replace(node.pods["a"], cpus=CPUS)

    assert node.alarm(HOST | {"a": BUSY}).verdict is Verdict.NAMED


@pytest.mark.parametrize(
    ("load", "verdict"),
    [
        ((0.09, 0.09, 1.0), Verdict.UNCLEAR),
        ((0.15, 0.15, 1.0), Verdict.UNCLEAR),
        ((0.24, 0.24, 1.0), Verdict.NAMED),
        ((0.09, 0.09, 9.0), Verdict.UNCLEAR),
    ],
)
def test_a_rise_must_be_of_some_size(
    node: Node, load: tuple[float, float, float], verdict: Verdict
) -> None:
    assert node.alarm(HOST | {"a": load}).verdict is verdict


def test_the_whole_of_a_small_rise_of_system_time_accuses_nobody_beside_cpu_hogs(
    node: Node,
) -> None:
    hogs = (0.5, 0.0, 6.0)

    finding = node.alarm(HOST | {"a": hogs, "b": (0.4, 0.12, 0.0)})

    assert finding.culprit is None or finding.culprit.uid == "a"
    assert next(share.system for share in finding.shares if share.uid == "b") < 0.5


def test_cpu_hogs_without_system_time_are_named_by_cpu_use_and_threads(node: Node) -> None:
    finding = node.alarm(HOST | {"a": (0.5, 0.0, 6.0), "b": (0.3, 0.02, 1.0)})

    assert finding.verdict is Verdict.NAMED
    assert finding.culprit is not None
    assert finding.culprit.score == pytest.approx((0.5 / 0.8 + 6 / 7) / 2)


def test_cpu_use_alone_or_with_system_time_is_no_such_score(node: Node) -> None:
    finding = node.alarm(HOST | {"a": (0.5, 0.2, 1.0), "b": (0.2, 0.0, 0.0)})

    assert finding.shares[0].score == pytest.approx((0.2 / 0.3 + 0.5 / 0.7) / 3)


def test_a_neighbour_that_was_busy_before_does_not_hide_the_culprit(node: Node) -> None:
    neighbour = (0.3, 0.0, 2.0)
    node.pods["b"] = replace(node.pods["b"], protected=True)
    node.spend(HOST | {"b": neighbour}, 8)

    finding = node.alarm(HOST | {"a": (0.35, 0.02, 5.0), "b": neighbour})

    assert finding.verdict is Verdict.NAMED
    assert finding.culprit is not None
    assert finding.culprit.uid == "a"
    assert next(share.used for share in finding.shares if share.uid == "b") == 0


def test_a_culprit_that_is_noticed_late_does_not_leave_another_to_be_named(node: Node) -> None:
    node.spend(HOST | {"a": BUSY}, 4)

    finding = node.alarm(HOST | {"a": BUSY, "b": (0.4, 0.3, 4.0)})

    assert finding.culprit is None or finding.culprit.uid == "a"


def test_nor_does_a_host_process(node: Node) -> None:
    host = {"": (0.6, 0.4, 8.0)}
    node.spend(host, 4)

    assert node.alarm(host | {"b": (0.4, 0.3, 4.0)}).culprit is None


def test_threads_count_for_nobody_where_nobody_had_any_counted_before(node: Node) -> None:
    for uid in "abc":
        node.pods[uid] = replace(node.pods[uid], pids=None)
    node.state = AttributionState()
    node.at += 60 * NS_PER_S
    uncounted = node.state
    for _ in range(60):
        node.at += 500 * MS
        pods = {uid: replace(pod, runnable=None) for uid, pod in node.pods.items()}
        sample = NodeUsage(at=Nanoseconds(node.at), cpus=CPUS, used=0, system=0, pods=pods)
        uncounted = attribute(
            uncounted, POLICY, sample, high=False, alarm=False, threatened=Criticality.HI
        )
    node.state = uncounted

    finding = node.alarm({"a": BUSY, "": (0.0, 0.0, 1.0)})

    assert finding.threads is None
    assert finding.verdict is Verdict.NAMED


def test_a_protected_pod_that_leads_protects_everybody(node: Node) -> None:
    node.pods["b"] = replace(node.pods["b"], protected=True)

    assert node.alarm(HOST | {"b": BUSY, "a": (0.2, 0.1, 2.0)}).verdict is Verdict.PROTECTED


def test_a_pod_that_was_cleared_is_protected(node: Node) -> None:
    node.alarm(HOST | {"a": BUSY})
    finding = node.spend(HOST | {"a": BUSY}, 2, high=True, alarm=True, cleared=("a",))

    assert finding is not None
    assert finding.verdict is Verdict.PROTECTED


def test_two_lead_together_only_if_a_third_is_far_behind(node: Node) -> None:
    two = {"a": (0.45, 0.45, 4.5), "b": (0.3, 0.3, 3.0)}

    assert node.alarm(HOST | two).verdict is Verdict.NAMED
    finding = node.spend(HOST | two | {"c": (0.24, 0.24, 2.4)}, 5, high=True, alarm=True)
    assert finding is not None
    assert finding.verdict is Verdict.UNCLEAR


def test_of_two_equal_ones_the_same_is_named_all_the_time(node: Node) -> None:
    a, b = (0.30, 0.3, 4.0), (0.31, 0.3, 4.0)
    node.alarm(HOST | {"a": a, "b": b})
    uids = set()
    for turn in range(10):
        loads = {"a": a, "b": b} if turn % 2 else {"a": b, "b": a}
        finding = node.spend(HOST | loads, 2, high=True, alarm=True)
        assert finding is not None
        assert finding.culprit is not None
        uids.add(finding.culprit.uid)

    assert len(uids) == 1


def test_a_sample_that_is_not_later_is_ignored(node: Node) -> None:
    before = node.state
    late = replace(before.recent[-1], used=10**15)

    after = attribute(before, POLICY, late, high=True, alarm=True, threatened=Criticality.HI)

    assert after == before


def test_fast_samples_do_not_make_the_history_longer() -> None:
    state = AttributionState()
    for tenth in range(1000):
        sample = NodeUsage(at=Nanoseconds(tenth * 100 * MS), cpus=CPUS, used=0, system=0)
        state = attribute(state, POLICY, sample, high=False, alarm=False, threatened=Criticality.HI)

    assert len(state.quiet) <= 60
    assert len(state.recent) <= 22


@pytest.mark.parametrize(
    "change",
    [
        {"spacing": 0},
        {"eve": NS_PER_S // 2},
        {"eve": 11 * NS_PER_S},
        {"eve_margin": 0.5},
        {"whole_cpus": 0.05},
        {"whole_threads": 1.0},
        {"longest_gap": 1},
        {"least_baseline": NS_PER_S},
        {"baseline": 5 * NS_PER_S},
        {"stale": 20 * NS_PER_S},
        {"calm": 0},
        {"lapse": 0},
        {"window": 0},
        {"least_cpus": 0.0},
        {"least_threads": 0.0},
        {"share": 0.0},
        {"pair_share": 1.5},
        {"second_share": 0.4},
        {"margin": 0.5},
        {"agreeing": 0},
    ],
)
def test_a_policy_that_cannot_be_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="attribution"):
        AttributionPolicy(**change)  # type: ignore[arg-type]  # wrong on purpose


def test_a_sample_names_its_pods() -> None:
    pod = PodUsage(name="default/a", criticality=Criticality.NO)
    with pytest.raises(ValueError, match="uid"):
        NodeUsage(at=Nanoseconds(0), cpus=CPUS, pods={"": pod})
