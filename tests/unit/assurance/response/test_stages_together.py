"""Detection, attribution, response and level on one simulated node."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from k40s.assurance.gamma import GammaPolicy, GammaState, assess, recover
from k40s.assurance.response.acts import Act, ActKind, Step
from k40s.assurance.response.harm import CriticalPod, HarmPolicy, HarmState, gauge_harm
from k40s.assurance.response.policy import Hazard, ResponsePolicy
from k40s.assurance.response.respond import advance, confirm
from k40s.assurance.response.state import ResponseState
from k40s.units import NS_PER_S
from tests.fakes.usage_scene import STRESS, Load, Observer, Scene, Timeline, during

SEEDS = range(20)
BEGIN = 35.0
HARMLESS, HARMFUL = 1_300, 12_000
"""Pressure of the critical task in microseconds per second, as measured."""


@dataclass
class Monitor:
    """The stages as a daemon would join them, and a kernel that does what it is asked.

    ``harmful`` are the pods whose CPU time hurts the critical one; ``host`` tells whether host
    processes do.
    """

    scene: Scene
    harmful: frozenset[str]
    host: bool = False
    gauged: bool = True
    observer: Observer = field(default_factory=Observer)
    harm: HarmState = field(default_factory=HarmState)
    response: ResponseState = field(default_factory=ResponseState)
    level: GammaState = field(default_factory=GammaState)
    acts: list[tuple[float, str, str]] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    harmed_at: list[float] = field(default_factory=list)
    holds: dict[str, set[Step]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    second: float = 0.0
    _pressure: float = 0.0
    _used: float = 0.0

    def __post_init__(self) -> None:
        for uid, pod in self.scene.pods.items():
            pod.timeline = self._held(uid, pod.timeline)

    def run(self, seconds: float) -> None:
        step = self.scene.period / NS_PER_S
        for _ in range(round(seconds / step)):
            sample = self.scene.sample()
            self.second += step
            self.observer.held = set(self.response.held)
            self.observer.cleared = set(self.response.cleared)
            finding = self.observer.see(sample)
            self._wait(step)
            pods = {"critical": CriticalPod(pressure=round(self._pressure))} if self.gauged else {}
            alarms = self.observer.alarms
            active = tuple(metric for metric, alarm in alarms.items() if alarm.active)
            calm = not any(alarm.active or alarm.high[-1:] == (True,) for alarm in alarms.values())
            self.harm = gauge_harm(self.harm, HarmPolicy(), at=sample.at, pods=pods, calm=calm)
            if self.harm.harmed:
                self.harmed_at.append(self.second)
            self.response, acts = advance(
                self.response,
                ResponsePolicy(),
                at=sample.at,
                hazard=Hazard(metrics=active, harmed=self.harm.harmed, harm=self.harm.evidence),
                finding=finding,
                gone=self.gone,
            )
            for act in acts:
                self._carry_out(act)
                self.response = confirm(self.response, act, at=sample.at, done=True)
            severity = assess(alarm=bool(active), harmed=self.harm.harmed)
            self.level = recover(self.level, GammaPolicy(), at=sample.at, severity=severity)
            self.levels.append(self.level.value)

    @property
    def did(self) -> list[str]:
        return [f"{kind} {uid}" for _, kind, uid in self.acts]

    def _wait(self, step: float) -> None:
        pods = self.scene.pods
        used = sum(pods[uid].used for uid in self.harmful)
        used += self.scene.host_used if self.host else 0.0
        share = min(1.0, max(0.0, (used - self._used) / step - 0.05) / 0.3)
        self._pressure += step * (HARMLESS + share * HARMFUL)
        self._used = used

    def _held(self, uid: str, timeline: Timeline) -> Timeline:
        def held(second: float) -> Load | None:
            load = timeline(second)
            if load is None or uid in self.gone:
                return None
            steps = self.holds.get(uid, set())
            if Step.FREEZE in steps:
                return replace(load, used=0.0, threads=0.0)
            if Step.QUOTA in steps:
                return replace(load, used=min(load.used, 0.1))
            return load

        return held

    def _carry_out(self, act: Act) -> None:
        self.acts.append((self.second, act.kind.value, act.uid))
        steps = self.holds.setdefault(act.uid, set())
        if act.kind in {ActKind.EVICT, ActKind.KILL}:
            self.gone.add(act.uid)
        elif act.undoes:
            steps.discard(act.step)
        else:
            steps.add(act.step)


def noisy(seed: int, *uids: str, until: float = 1e9) -> Monitor:
    scene = Scene(seed=seed)
    for uid in uids:
        scene.pods[uid].timeline = during(BEGIN, until, STRESS["open"].load)
    return Monitor(scene=scene, harmful=frozenset(uids))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_noisy_pod_is_throttled_within_a_second_of_the_alarm_and_the_level_stays(
    seed: int,
) -> None:
    node = noisy(seed, "idle-a")

    node.run(BEGIN + 30)

    assert node.did[0] == "throttle idle-a"
    assert node.observer.raised is not None
    assert node.acts[0][0] <= BEGIN + 5
    assert sum(second > node.acts[0][0] + 3 for second in node.harmed_at) <= 4
    assert set(node.levels) == {10}


@pytest.mark.parametrize("seed", SEEDS)
def test_if_it_goes_on_whenever_it_is_released_it_is_evicted_in_the_end(seed: int) -> None:
    node = noisy(seed, "idle-a")

    node.run(BEGIN + 300)

    assert node.did[-1] == "evict idle-a"
    assert {uid for _, _, uid in node.acts} == {"idle-a"}


@pytest.mark.parametrize("seed", SEEDS)
def test_one_that_has_calmed_down_meanwhile_runs_free_again(seed: int) -> None:
    node = noisy(seed, "idle-a", until=BEGIN + 20)

    node.run(BEGIN + 120)

    assert node.did in (
        ["throttle idle-a", "unthrottle idle-a"],
        ["throttle idle-a", "freeze idle-a", "thaw idle-a", "unthrottle idle-a"],
    )
    assert node.response.stored == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_two_noisy_pods_are_held_one_after_the_other(seed: int) -> None:
    node = noisy(seed, "idle-a", "idle-b")

    node.run(BEGIN + 35)

    assert node.response.held == {"idle-a", "idle-b"}
    assert {uid for _, _, uid in node.acts} == {"idle-a", "idle-b"}
    assert sum(second > node.second - 15 for second in node.harmed_at) <= 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_host_process_touches_no_pod_and_lowers_the_level(seed: int) -> None:
    scene = Scene(seed=seed)
    scene.host = during(BEGIN, 1e9, STRESS["open"].load)
    node = Monitor(scene=scene, harmful=frozenset(), host=True)

    node.run(BEGIN + 120)

    assert node.acts == []
    assert node.levels[-1] == 3


@pytest.mark.parametrize("kind", ["fork", "udp", "cpu", "netdev", "io"])
def test_a_pod_whose_noise_harms_nobody_is_left_alone(kind: str) -> None:
    for seed in SEEDS:
        scene = Scene(seed=seed)
        scene.pods["idle-a"].timeline = during(BEGIN, 1e9, STRESS[kind].load)
        node = Monitor(scene=scene, harmful=frozenset())
        node.run(BEGIN + 30)
        assert node.acts == []


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_gauge_it_is_held_and_released_by_the_alarm(seed: int) -> None:
    node = noisy(seed, "idle-a", until=BEGIN + 40)
    node.gauged = False

    node.run(BEGIN + 200)

    assert node.did[0] == "throttle idle-a"
    assert {uid for _, _, uid in node.acts} == {"idle-a"}
    assert node.response.stored == ()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("host", [False, True])
def test_a_hazard_that_comes_and_goes_every_20_s_for_half_an_hour_does_not_make_it_flap(
    seed: int, *, host: bool
) -> None:
    scene = Scene(seed=seed)

    def toggled(second: float) -> Load:
        on = second >= BEGIN and (second - BEGIN) % 40 < 20
        return STRESS["open"].load if on else Load(used=0.01)

    if host:
        scene.host = toggled
    else:
        scene.pods["idle-a"].timeline = toggled
    node = Monitor(
        scene=scene, harmful=frozenset({"idle-a"}) - {"idle-a" if host else ""}, host=host
    )

    node.run(BEGIN + 1800)

    falls = sum(later < earlier for earlier, later in pairwise(node.levels))
    forward = [act for act in node.did if act.split()[0] in {"throttle", "freeze", "evict"}]
    assert falls <= 2
    assert len(forward) <= (0 if host else 12)
    assert {uid for _, _, uid in node.acts} <= {"idle-a"}
