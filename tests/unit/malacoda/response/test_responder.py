"""The response on a node in memory: search, fold, gate and kernel together, without sockets."""

import errno
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from prometheus_client import CollectorRegistry, Counter

from daemons.malacoda.actuator.gate import GatePolicy
from daemons.malacoda.actuator.protocol import Result, Verb
from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.handover import Handover, Judgement
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.pods import NodePods
from daemons.malacoda.response.evictions import EvictionRequests
from daemons.malacoda.response.metrics import ResponseMetrics
from daemons.malacoda.response.reports import UNREACHABLE, ActReports
from daemons.malacoda.response.responder import Responder
from k40s.annotations import parse_culprits
from k40s.assurance.response.acts import Act, ActKind, Cause, Reason, Step
from k40s.assurance.response.harm import Gauge, Harm, HarmState
from k40s.assurance.response.policy import ResponsePolicy, Rung
from k40s.assurance.suspects.rises import Rise
from k40s.assurance.suspects.verdict import Finding, Role, Share, Verdict
from k40s.assurance.watch import WatchState
from k40s.criticality import Criticality
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.actuator import FakeConnection, Machine
from tests.fakes.malacoda.culprit import FakeEvents, FakeWatch, pod_record
from tests.fakes.malacoda.kernel import FakeKernel, uid

NOISY, CRITICAL = uid(1), uid(9)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
THROTTLE_ONLY = ResponsePolicy(rungs=(Rung(step=Step.QUOTA),))
WITH_FREEZE = ResponsePolicy(
    rungs=(Rung(step=Step.QUOTA), Rung(step=Step.FREEZE, after=Nanoseconds(2 * NS_PER_S)))
)

WITH_EVICTION = ResponsePolicy(
    rungs=(*WITH_FREEZE.rungs, Rung(step=Step.EVICT, after=Nanoseconds(3 * NS_PER_S)))
)


WITH_MOVE = ResponsePolicy(
    rungs=(
        Rung(step=Step.QUOTA),
        Rung(step=Step.MOVE, after=Nanoseconds(2 * NS_PER_S)),
        Rung(step=Step.FREEZE, after=Nanoseconds(2 * NS_PER_S)),
    )
)
WITH_KILL = ResponsePolicy(
    rungs=(*WITH_EVICTION.rungs, Rung(step=Step.KILL, after=Nanoseconds(60 * NS_PER_S)))
)


class FakeCpus:
    """Implements ``Cpus``."""

    def __init__(self) -> None:
        self.found: frozenset[int] | None = frozenset({1})
        self.asked: list[tuple[set[str], set[str]]] = []

    def find(
        self, pods: Collection[str], *, real_time: Collection[str] = ()
    ) -> frozenset[int] | None:
        self.asked.append((set(pods), set(real_time)))
        return self.found


def named(pod: str) -> Finding:
    share = Share(
        uid=pod,
        name=f"default/{pod}",
        role=Role.SUSPECT,
        rise=Rise(system=0.5, used=0.5, threads=8),
        system=0.9,
        used=0.9,
        threads=0.9,
    )
    return Finding(
        verdict=Verdict.NAMED,
        at=Nanoseconds(0),
        onset=Nanoseconds(0),
        window=Nanoseconds(2 * NS_PER_S),
        threatened=Criticality.HI,
        culprit=share,
        shares=(share,),
    )


class World:
    """A node with a critical and a noisy pod, and all of the monitor's response."""

    def __init__(
        self,
        policy: ResponsePolicy = THROTTLE_ONLY,
        *,
        dry_run: bool = False,
        unified: bool = False,
    ) -> None:
        self.machine = Machine(kernel=FakeKernel(unified=unified))
        self.cpus = FakeCpus()
        self.clock = self.machine.clock
        self.path = self.machine.kernel.pod(NOISY)
        if dry_run:
            self.machine.start(dry_run=True)
        self.connection = FakeConnection(self.machine)
        self.pods = NodePods(namespaces=("k40s-system",))
        self.pods.replace([pod_record(CRITICAL, "HI"), pod_record(NOISY)])
        self.watch = FakeWatch()
        self.api = FakeEvents()
        self.registry = CollectorRegistry()
        faults = Counter("k40s_malacoda_source_faults", "", ["source"], registry=self.registry)
        self.events = CulpritEvents(
            writer=self.api,
            metrics=CulpritMetrics(self.registry, EventReason, faults=faults),
            backoff=Backoff(pause=Nanoseconds(5 * NS_PER_S), clock=self.clock),
            clock=self.clock,
        )
        self.metrics = ResponseMetrics(
            self.registry, acts=[*Verb, ActKind.EVICT], results=[*Result, UNREACHABLE]
        )
        self.evictions = EvictionRequests(now=lambda: NOON)
        self.handover = Handover()
        self.gauge = HarmState()
        self.policy = policy
        self.responder = self.make()

    def make(self) -> Responder:
        return Responder(
            handover=self.handover,
            pods=self.pods,
            harms=self,
            actuator=self.connection,
            policy=self.policy,
            reports=ActReports(
                node="edge-1", events=self.events, metrics=self.metrics, clock=self.clock
            ),
            metrics=self.metrics,
            evictions=self.evictions,
            cpus=self.cpus,
            own_cpus=frozenset({0, 1, 2}),
            clock=self.clock,
        )

    @property
    def known(self) -> HarmState:
        return self.gauge

    def wait(self, seconds: float, *, alarm: bool = False, suspect: str | None = None) -> None:
        for _ in range(round(seconds * 2)):
            self.clock.pass_seconds(0.5)
            self.watch.set(high=alarm, alarm=alarm)
            found = named(suspect) if suspect and alarm else None
            judgement = Judgement(
                at=Nanoseconds(self.clock.time), watched=self.watch.state, finding=found
            )
            self.handover.put(judgement)
            self.responder.tick()
            self.machine.actuator.look()
            self.events.send()

    @property
    def throttled(self) -> bool:
        return not self.machine.kernel.quota(self.path).startswith(("-1", "max"))

    @property
    def frozen(self) -> bool:
        return self.machine.kernel.frozen(self.path)

    @property
    def asked(self) -> list[str]:
        return [request.verb.value for request in self.connection.asked]

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(about.kind, reason) for about, reason, _ in self.api.written]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_{name}", labels)


def test_a_named_pod_is_throttled_at_once_and_released_after_calm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    with caplog.at_level(logging.INFO):
        world.wait(0.5, alarm=True, suspect=NOISY)

    assert world.throttled
    assert world.handover.held == {NOISY}
    assert world.metric("held_pods") == 1
    assert world.metric("acts_total", act="throttle", result="done") == 1
    assert world.metric("actuator_up") == 1
    (line,) = [one.__dict__ for one in caplog.records if one.message == "act carried out"]
    assert (line["act"], line["rule"], line["result"]) == ("throttle", "named", "done")
    assert line["hazards"] == ["cpu-system"]

    world.wait(20, alarm=True)
    world.wait(29)
    assert world.throttled
    world.wait(3)

    assert not world.throttled
    assert world.asked == ["throttle", "unthrottle"]
    assert world.handover.held == frozenset()
    assert world.metric("held_pods") == 0


def test_node_and_pod_are_told_with_metric_evidence_rule_and_what_was_done() -> None:
    world = World()
    world.wait(0.5, alarm=True, suspect=NOISY)
    world.wait(40)

    assert world.told == [
        ("Node", "SuspectThrottled"),
        ("Pod", "SuspectThrottled"),
        ("Node", "SuspectReleased"),
        ("Pod", "SuspectReleased"),
    ]
    text = world.api.written[1][2]
    assert text.startswith(f"pod default/{NOISY} is throttled to 0.10 CPUs: it is suspected of")
    for part in ("hazard: cpu-system 0.61", "it caused 0.90 of the rise", "undone when"):
        assert part in text
    assert "has its CPU quota back: the hazard is over" in world.api.written[2][2]


def test_without_freeze_in_the_mode_a_pod_is_throttled_only() -> None:
    world = World()
    world.wait(60, alarm=True, suspect=NOISY)

    assert world.asked == ["throttle"]


def test_a_pod_is_frozen_where_the_quota_does_not_help_and_released_if_that_does_not_either() -> (
    None
):
    world = World(WITH_FREEZE)
    world.wait(5, alarm=True, suspect=NOISY)
    assert (world.throttled, world.frozen) == (True, False)

    world.wait(1, alarm=True, suspect=NOISY)
    assert (world.throttled, world.frozen) == (True, True)
    world.wait(6, alarm=True, suspect=NOISY)

    assert world.asked == ["throttle", "freeze", "thaw", "unthrottle"]
    assert (world.throttled, world.frozen) == (False, False)
    assert world.handover.cleared == {NOISY}


def relapsed(world: World) -> None:
    """A pod is throttled, released after calm, and brings the hazard back twice."""
    world.wait(1, alarm=True, suspect=NOISY)
    world.wait(32)
    world.wait(1, alarm=True, suspect=NOISY)  # frozen: the hazard is back
    world.wait(62)
    world.wait(1, alarm=True, suspect=NOISY)


def test_a_pod_that_brings_the_hazard_back_is_to_be_evicted_and_throttled_meanwhile() -> None:
    world = World(WITH_EVICTION)
    relapsed(world)

    text = world.evictions.text

    assert world.asked[-1] == "throttle"
    assert (world.throttled, world.frozen) == (True, False)
    assert text is not None
    (culprit,) = parse_culprits(text)
    assert (culprit.uid, culprit.rule) == (NOISY, Cause.RELAPSED)
    assert ("Pod", "SuspectEvictionAsked") in world.told
    assert world.metric("acts_total", act="evict", result="done") == 1
    assert NOISY not in text.replace(NOISY, "", 1)


@pytest.mark.parametrize(
    "end",
    [
        lambda world: world.pods.replace([pod_record(CRITICAL, "HI")]),
        lambda world: world.pods.replace(
            [pod_record(CRITICAL, "HI"), replace(pod_record(NOISY), deleting=True)]
        ),
        lambda world: world.wait(200),
        lambda world: setattr(world.connection, "broken", True),
    ],
)
def test_a_request_is_withdrawn_when_the_pod_ends_or_calm_returns_or_the_actuator_is_lost(
    end: Callable[[World], None],
) -> None:
    world = World(WITH_EVICTION)
    relapsed(world)
    before = world.evictions.text

    end(world)
    world.wait(1)

    assert before is not None
    assert world.evictions.text is None


def test_without_that_mode_no_eviction_is_asked_for() -> None:
    world = World(WITH_FREEZE)
    relapsed(world)

    assert world.frozen
    assert world.evictions.text is None


def test_an_alarm_that_justifies_no_eviction_leaves_the_pod_held_and_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(replace(WITH_EVICTION, destructive_metrics=frozenset()))
    relapsed(world)

    held_back = [one for one in caplog.records if one.message == "next step held back"]

    assert world.frozen
    assert world.evictions.text is None
    assert [vars(one)["why"] for one in held_back] == ["no-gauge"]


def test_in_a_dry_run_no_eviction_is_asked_for() -> None:
    world = World(WITH_EVICTION, dry_run=True)
    relapsed(world)

    assert world.evictions.text is None


def test_the_gauge_of_harm_decides_where_there_is_one() -> None:
    world = World()
    world.gauge = HarmState(harmed=False)
    world.wait(5, alarm=True, suspect=NOISY)
    assert world.asked == []

    harm = Harm(uid=CRITICAL, gauge=Gauge.PRESSURE, value=12_000.0)
    world.gauge = HarmState(harmed=True, evidence=(harm,))
    world.wait(0.5, alarm=True, suspect=NOISY)

    assert world.throttled
    assert "harm: 12000 us/s of CPU pressure" in world.api.written[0][2]


PROTECTING: list[Callable[[World], None]] = [
    lambda world: world.pods.upsert(pod_record(NOISY, "HI")),
    lambda world: world.pods.upsert(pod_record(NOISY, priority_class="system-node-critical")),
    lambda world: world.pods.upsert(pod_record(NOISY, namespace="k40s-system")),
    lambda world: world.pods.upsert(pod_record(NOISY, "who knows")),
    lambda world: world.pods.delete(NOISY),
    lambda world: world.pods.delete(CRITICAL),
]


@pytest.mark.parametrize("change", PROTECTING)
def test_the_pod_is_looked_at_again_just_before_an_act(change: Callable[[World], None]) -> None:
    world = World()
    change(world)

    world.wait(5, alarm=True, suspect=NOISY)

    assert world.asked == []
    assert world.machine.kernel.writes == []
    assert world.handover.cleared <= {NOISY}


@pytest.mark.parametrize("change", PROTECTING)
def test_a_held_pod_that_may_not_be_held_any_more_is_released_at_once(
    change: Callable[[World], None],
) -> None:
    world = World(WITH_FREEZE)
    world.wait(6, alarm=True, suspect=NOISY)
    assert world.frozen
    change(world)

    world.wait(0.5, alarm=True)

    assert (world.throttled, world.frozen) == (False, False)
    assert "it may not be held any more" in world.api.written[-1][2]


def test_a_frozen_pod_that_is_being_deleted_is_thawed_at_once_and_stays_throttled() -> None:
    world = World(WITH_FREEZE)
    world.wait(6, alarm=True, suspect=NOISY)
    assert world.frozen

    world.pods.upsert(pod_record(NOISY, deleting=True))
    world.wait(0.5, alarm=True, suspect=NOISY)

    assert (world.throttled, world.frozen) == (True, False)
    world.wait(20, alarm=True, suspect=NOISY)
    assert not world.frozen


def test_a_pod_that_is_being_deleted_is_not_frozen() -> None:
    world = World(WITH_FREEZE)
    world.wait(1, alarm=True, suspect=NOISY)
    world.pods.upsert(pod_record(NOISY, deleting=True))

    world.wait(30, alarm=True, suspect=NOISY)

    assert world.asked == ["throttle"]


def test_a_monitor_that_starts_again_finds_nothing_held() -> None:
    world = World()
    world.wait(0.5, alarm=True, suspect=NOISY)

    world.connection.close()  # the kernel does, when the process is killed
    world.responder = world.make()
    world.wait(0.5)

    assert not world.throttled
    assert world.responder.state.cases == ()


def test_what_the_actuator_still_holds_is_undone_by_a_monitor_that_starts() -> None:
    world = World(WITH_FREEZE)
    world.wait(6, alarm=True, suspect=NOISY)

    world.responder = world.make()  # and the actuator has not noticed
    world.wait(0.5, alarm=True)

    assert (world.throttled, world.frozen) == (False, False)
    assert world.asked[-2:] == ["thaw", "unthrottle"]


def test_after_the_actuator_was_killed_a_pod_that_is_named_again_is_held_again() -> None:
    world = World()
    world.wait(0.5, alarm=True, suspect=NOISY)
    world.connection.broken = True
    world.wait(1, alarm=True, suspect=NOISY)
    assert world.handover.held == frozenset()

    world.machine.start()
    assert not world.throttled
    world.connection.broken = False
    world.wait(1, alarm=True, suspect=NOISY)

    assert world.throttled
    assert world.metric("acts_total", act="throttle", result="done") == 2


def test_what_the_actuator_has_undone_by_itself_is_not_believed_to_be_held() -> None:
    world = World()
    world.wait(0.5, alarm=True, suspect=NOISY)

    world.machine.actuator.undo_all("the monitor is silent")
    world.wait(0.5)

    assert world.responder.state.cases == ()
    assert world.metric("held_pods") == 0


def test_an_actuator_that_does_not_answer_is_told_loudly_and_naming_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.connection.broken = True
    world.wait(4, alarm=True, suspect=NOISY)
    assert world.metric("actuator_up") == 0
    assert world.told == []

    world.wait(10, alarm=True, suspect=NOISY)

    assert world.told == [("Node", "ActuatorUnreachable")]
    assert "named only" in world.api.written[0][2]
    assert [one.message for one in caplog.records].count("actuator unreachable") == 1
    world.connection.broken = False
    world.wait(0.5)
    assert world.metric("actuator_up") == 1


def test_an_actuator_that_goes_away_during_an_act_has_undone_it() -> None:
    world = World()
    world.connection.deaf_to = frozenset({Verb.THROTTLE})
    world.wait(0.5, alarm=True, suspect=NOISY)

    assert world.metric("acts_total", act="throttle", result="unreachable") == 1
    assert not world.throttled
    assert world.responder.state.cases == ()


def test_a_pod_that_the_actuator_refuses_is_left_alone_while_the_hazard_lasts() -> None:
    world = World()
    world.machine.kernel.set_quota(world.path, "1000")
    world.wait(20, alarm=True, suspect=NOISY)

    assert world.asked == ["throttle"]
    assert world.handover.cleared == {NOISY}
    assert world.told == [("Node", "ResponseFailed"), ("Pod", "ResponseFailed")]
    assert "already-lower" in world.api.written[0][2]
    assert world.metric("acts_total", act="throttle", result="refused") == 1


def test_after_a_failure_of_the_kernel_it_waits_and_tries_again() -> None:
    world = World()

    def refuse(_path: str, _text: str) -> None:
        raise OSError(5, "Input/output error")

    world.machine.kernel.before = refuse
    world.wait(4, alarm=True, suspect=NOISY)
    assert world.asked == ["throttle"]

    world.machine.kernel.before = lambda _path, _text: None
    world.wait(4, alarm=True, suspect=NOISY)

    assert world.throttled


def test_in_a_dry_run_everything_is_told_and_nothing_done() -> None:
    world = World(WITH_FREEZE, dry_run=True)
    world.wait(6, alarm=True, suspect=NOISY)
    world.wait(100)

    assert world.machine.kernel.writes == []
    assert world.metric("acts_total", act="throttle", result="dry-run") == 1
    assert "dry run, nothing was done: is throttled" in world.api.written[0][2]
    assert world.responder.state.cases == ()


def test_what_others_overwrite_is_counted() -> None:
    world = World()
    world.wait(0.5, alarm=True, suspect=NOISY)
    world.machine.kernel.set_quota(world.path, "90000")
    world.wait(1, alarm=True, suspect=NOISY)

    assert world.metric("overwritten_total") == 1
    assert world.throttled


def test_in_calm_it_speaks_once_a_second_and_in_a_hazard_after_each_sample() -> None:
    world = World()
    kept = world.connection.kept
    world.wait(10)
    calm = world.connection.kept - kept
    world.wait(10, alarm=True, suspect=NOISY)

    assert (calm, world.connection.kept - kept - calm) == (10, 20)


def test_without_samples_the_actuator_is_told_nothing() -> None:
    world = World()
    world.connection.broken = True  # a call would raise

    world.responder.tick()

    assert world.metric("actuator_up") == 0
    assert world.responder.state.cases == ()


def test_an_unforeseen_error_lets_go_of_everything() -> None:
    world = World()
    world.wait(0.5, alarm=True, suspect=NOISY)

    class Broken:
        @property
        def known(self) -> HarmState:
            raise RuntimeError("unforeseen")

    world.responder._harms = Broken()  # noqa: SLF001  # it fails from here on
    with pytest.raises(RuntimeError):
        world.wait(0.5, alarm=True)

    assert not world.throttled
    assert world.responder.state.cases == ()
    assert world.handover.held == frozenset()


def test_a_sample_of_a_node_without_threatened_pods_ends_every_hold() -> None:
    world = World()
    world.wait(0.5, alarm=True, suspect=NOISY)
    world.pods.delete(CRITICAL)

    world.clock.pass_seconds(0.5)
    world.handover.put(Judgement(at=Nanoseconds(world.clock.time), watched=WatchState()))
    world.responder.tick()

    assert not world.throttled


def test_refusals_do_not_use_up_the_acts_of_the_hour() -> None:
    world = World()
    for number in range(3):  # of another monitor's time, say
        world.machine.kernel.pod(uid(20 + number))
    held = [uid(20 + number) for number in range(3)]
    world.pods.replace([pod_record(CRITICAL, "HI"), pod_record(NOISY), *map(pod_record, held)])
    for pod in held:
        world.wait(6, alarm=True, suspect=pod)
    world.wait(120, alarm=True, suspect=NOISY)
    assert not world.throttled
    assert world.metric("acts_total", act="throttle", result="refused") == pytest.approx(20, abs=5)

    world.machine.kernel.remove(f"pod{held[0]}")
    world.pods.delete(held[0])
    world.wait(10, alarm=True, suspect=NOISY)

    assert world.throttled


def test_a_freeze_that_failed_once_is_tried_again() -> None:
    world = World(WITH_FREEZE)
    world.wait(1, alarm=True, suspect=NOISY)

    def refuse(path: str, _text: str) -> None:
        if path.startswith("freezer"):
            raise OSError(5, "Input/output error")

    world.machine.kernel.before = refuse
    world.wait(6, alarm=True, suspect=NOISY)
    assert world.asked == ["throttle", "freeze"]
    assert not world.frozen

    world.machine.kernel.before = lambda _path, _text: None
    world.wait(6, alarm=True, suspect=NOISY)

    assert world.frozen
    assert world.throttled


def test_a_freeze_that_is_not_allowed_is_asked_for_once() -> None:
    world = World(WITH_FREEZE)
    world.machine.policy = GatePolicy(allowed=frozenset({Step.QUOTA}))
    world.machine.start()
    world.wait(60, alarm=True, suspect=NOISY)

    assert world.asked == ["throttle", "freeze"]
    assert world.throttled


def test_of_failures_no_more_are_remembered_than_a_limit() -> None:
    world = World()
    reports = world.responder._reports  # noqa: SLF001  # its memory is what is looked at
    reason = Reason(cause=Cause.NAMED)
    for number in range(1000):
        act = Act(
            kind=ActKind.THROTTLE, uid=uid(number), pod="a/b", reason=reason, quota=Fraction(1, 10)
        )
        reports.not_done(act, world.pods.view, result="refused")

    assert len(reports._failures) <= 256  # noqa: SLF001  # as above
    assert world.metric("acts_total", act="throttle", result="refused") == 1000


def test_a_throttled_pod_leaves_the_cpus_of_critical_threads_and_returns_in_calm() -> None:
    world = World(WITH_MOVE)
    world.wait(6, alarm=True, suspect=NOISY)

    assert world.asked == ["throttle", "move"]
    assert world.connection.asked[-1].off == (1,)
    assert world.machine.kernel.cpus(world.path) == "0,2"
    assert world.cpus.asked[0] == ({CRITICAL}, set())
    assert ("Pod", "SuspectMoved") in world.told
    world.wait(40)

    assert world.asked == ["throttle", "move", "move-back", "unthrottle"]
    assert world.machine.kernel.cpus(world.path) == "0-2"


@pytest.mark.parametrize("found", [None, frozenset(), frozenset({0, 1, 2}), frozenset(range(8))])
def test_where_no_cpu_is_known_to_be_free_of_critical_threads_a_pod_is_frozen_instead(
    found: frozenset[int] | None,
) -> None:
    world = World(WITH_MOVE)
    world.cpus.found = found
    world.wait(6, alarm=True, suspect=NOISY)

    assert world.asked == ["throttle", "freeze"]


def test_critical_threads_are_not_looked_for_before_moving_is_the_next_step() -> None:
    world = World(WITH_MOVE)
    world.wait(10)
    world.wait(0.5, alarm=True, suspect=NOISY)
    assert world.cpus.asked == []

    world.wait(6, alarm=True, suspect=NOISY)
    looked = len(world.cpus.asked)
    world.wait(4, alarm=True, suspect=NOISY)

    assert looked >= 1
    assert len(world.cpus.asked) == looked


def test_a_pod_that_is_moved_in_vain_is_frozen() -> None:
    world = World(WITH_MOVE)
    world.wait(11, alarm=True, suspect=NOISY)

    assert world.asked[:3] == ["throttle", "move", "freeze"]


def test_a_pod_that_is_not_evicted_and_brings_the_hazard_back_once_more_is_killed() -> None:
    world = World(WITH_KILL, unified=True)
    relapsed(world)
    assert world.evictions.text is not None
    world.wait(122)

    world.wait(1, alarm=True, suspect=NOISY)

    assert world.machine.kernel.killed == [world.path]
    assert world.throttled
    assert ("Pod", "SuspectKilled") in world.told
    assert world.metric("acts_total", act="kill", result="done") == 1


def test_a_pod_whose_hazard_lasts_though_its_eviction_is_asked_for_is_killed_after_a_minute() -> (
    None
):
    world = World(WITH_KILL, unified=True)
    relapsed(world)

    world.wait(55, alarm=True, suspect=NOISY)
    assert world.machine.kernel.killed == []
    world.wait(10, alarm=True, suspect=NOISY)

    assert world.machine.kernel.killed == [world.path]
    assert world.evictions.text is not None  # it is still to go


def test_a_pod_that_is_being_deleted_is_not_killed() -> None:
    world = World(WITH_KILL, unified=True)
    relapsed(world)
    world.pods.replace([pod_record(CRITICAL, "HI"), replace(pod_record(NOISY), deleting=True)])

    world.wait(90, alarm=True, suspect=NOISY)

    assert world.machine.kernel.killed == []


def test_under_v1_a_kill_is_refused_and_the_pod_stays_throttled() -> None:
    world = World(WITH_KILL)
    relapsed(world)
    world.wait(70, alarm=True, suspect=NOISY)

    assert world.metric("acts_total", act="kill", result="refused") == 1
    assert world.throttled
    assert ("Pod", "ResponseFailed") in world.told


MOVE_LAST = ResponsePolicy(rungs=WITH_MOVE.rungs[:2])
"""What ``K40S_CULPRIT=move`` allows."""


def test_a_moved_pod_that_brings_the_hazard_back_is_throttled_and_moved_again_at_once() -> None:
    world = World(MOVE_LAST)
    world.wait(6, alarm=True, suspect=NOISY)
    world.wait(40)
    assert not world.throttled

    world.wait(0.5, alarm=True, suspect=NOISY)

    assert world.throttled
    assert world.machine.kernel.cpus(world.path) == "0,2"


def test_a_throttled_pod_that_brings_the_hazard_back_is_not_moved_without_its_quota() -> None:
    world = World(WITH_MOVE)
    world.wait(1, alarm=True, suspect=NOISY)
    world.wait(32)
    assert world.asked == ["throttle", "unthrottle"]

    world.wait(1, alarm=True, suspect=NOISY)

    assert world.asked[2:] == ["throttle", "move"]
    assert world.throttled
    assert world.machine.kernel.cpus(world.path) == "0,2"


@pytest.mark.parametrize("refuses", ["kernel", "actuator"])
def test_a_pod_that_cannot_be_moved_is_frozen(refuses: str) -> None:
    world = World(WITH_MOVE)

    def refuse(path: str, _text: str) -> None:
        if "cpuset" in path:
            raise OSError(errno.EBUSY, "busy")

    if refuses == "kernel":
        world.machine.kernel.before = refuse
    else:
        world.cpus.found = frozenset({0})
        for path, files in world.machine.kernel.files.items():
            if world.path in path and "cpuset.cpus" in files:
                files["cpuset.cpus"] = "1"  # it runs elsewhere already
    world.wait(14, alarm=True, suspect=NOISY)

    assert world.asked[:3] == ["throttle", "move", "freeze"]


def test_where_critical_threads_run_on_other_nodes_cpus_alone_nobody_is_moved() -> None:
    world = World(WITH_MOVE)
    world.cpus.found = frozenset({7})
    world.wait(6, alarm=True, suspect=NOISY)

    assert world.asked == ["throttle", "freeze"]
