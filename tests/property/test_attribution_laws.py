"""Attribution accuses nobody it must not, whatever is sampled, and agrees with a second writing."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from k40s.assurance.suspects.attribution import AttributionState, attribute
from k40s.assurance.suspects.usage import NodeUsage, PodUsage
from k40s.assurance.suspects.verdict import AttributionPolicy, Role, Verdict
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.oracles import attribution as oracle

POLICY = AttributionPolicy()
CPUS = frozenset({1, 2})
COUNTS = st.none() | st.integers(0, 2**45)


@st.composite
def pods(draw: st.DrawFn) -> PodUsage:
    return PodUsage(
        name="default/pod",
        criticality=draw(st.sampled_from(Criticality)),
        protected=draw(st.booleans()),
        used=draw(COUNTS),
        system=draw(COUNTS),
        cpus=draw(st.none() | st.sampled_from([CPUS, frozenset({1}), frozenset({0, 1})])),
        runnable=draw(st.none() | st.floats(0, 1000)),
        pids=draw(st.none() | st.integers(0, 1000)),
    )


@st.composite
def wild_samples(draw: st.DrawFn) -> list[NodeUsage]:
    """Counters that jump, wrap and vanish, pods that come, go and change."""
    at = 0
    found = []
    for _ in range(draw(st.integers(1, 40))):
        at += draw(st.integers(-NS_PER_S, 4 * NS_PER_S))
        found.append(
            NodeUsage(
                at=Nanoseconds(at),
                cpus=CPUS,
                used=draw(COUNTS),
                system=draw(COUNTS),
                runnable=draw(st.none() | st.floats(0, 1000)),
                pods=draw(st.dictionaries(st.sampled_from("abc"), pods(), max_size=3)),
            )
        )
    return found


@given(
    samples=wild_samples(),
    threatened=st.sampled_from(Criticality),
    held=st.sets(st.sampled_from("abc")),
    cleared=st.sets(st.sampled_from("abc")),
    chance=st.randoms(use_true_random=False),
)
def test_no_pod_of_equal_or_higher_criticality_of_the_system_or_held_is_ever_named(
    samples: list[NodeUsage],
    threatened: Criticality,
    held: set[str],
    cleared: set[str],
    chance: Random,
) -> None:
    state = AttributionState()
    policy = replace(
        POLICY,
        spacing=Nanoseconds(1),
        least_baseline=Nanoseconds(5 * NS_PER_S),
        share=0.01,
        margin=1.0,
        agreeing=1,
    )
    for sample in samples:
        alarm = chance.random() < 0.6
        state = attribute(
            state,
            policy,
            sample,
            high=chance.random() < 0.5,
            alarm=alarm,
            threatened=threatened,
            held=held,
            cleared=cleared,
        )
        finding = state.finding
        assert alarm or finding is None or sample.at <= state.recent[-1].at
        if finding is None or finding.culprit is None:
            continue
        uid = finding.culprit.uid
        pod = state.recent[-1].pods[uid]
        assert finding.verdict in {Verdict.NAMED, Verdict.UNCONFIRMED}
        assert not pod.protected
        assert pod.criticality < threatened
        assert uid not in held | cleared
        assert finding.culprit.role is Role.SUSPECT


@given(samples=wild_samples(), chance=st.randoms(use_true_random=False))
def test_shares_lie_in_0_to_1_and_rises_are_never_negative(
    samples: list[NodeUsage], chance: Random
) -> None:
    state = AttributionState()
    for sample in samples:
        state = attribute(
            state,
            replace(POLICY, least_baseline=POLICY.longest_gap, window=Nanoseconds(NS_PER_S)),
            sample,
            high=chance.random() < 0.3,
            alarm=chance.random() < 0.5,
            threatened=Criticality.HI,
        )
        for share in state.finding.shares if state.finding else ():
            assert min(share.rise.system, share.rise.used, share.rise.threads) >= 0
            assert all(0 <= part <= 1 for part in (share.system, share.used, share.threads))


@st.composite
def random_scenes(draw: st.DrawFn) -> tuple[list[NodeUsage], int, int]:
    """Complete samples of a node with some pods, some of which become busy at the end."""
    chance = Random(draw(st.integers(0, 2**32)))
    names = [f"p{number}" for number in range(draw(st.integers(1, 6)))]
    quiet, busy = draw(st.integers(30, 70)), draw(st.integers(6, 12))
    late = {name: chance.choice([0.0, 0.0, 0.05, 0.3, 0.6, 0.9]) for name in ("", *names)}
    crowd = {name: chance.choice([0, 0, 1, 3, 8]) for name in ("", *names)}
    kernel = {name: chance.random() for name in ("", *names)}
    base = {name: chance.choice([0.0, 0.05, 0.2]) for name in ("", *names)}
    early = {name: chance.choice([0.0, 0.0, 0.0, 0.4]) for name in ("", *names)}
    since = quiet - draw(st.integers(4, 20))
    who = {name: chance.choice(list(Criticality)) for name in names}
    used = dict.fromkeys(("", *names), 0)
    system = dict.fromkeys(("", *names), 0)
    at, samples = 0, []
    for index in range(quiet + busy):
        step = chance.choice([500, 510, 700, 490]) * NS_PER_MS
        at += step
        hot = index >= quiet
        running = {}
        for name in ("", *names):
            load = base[name] * chance.uniform(0.5, 1.5) + (late[name] if hot else 0.0)
            load += early[name] if index >= since else 0.0
            spent = round(load * step)
            used[name] += spent
            system[name] += round(spent * kernel[name])
            running[name] = float(chance.randint(0, 2) + (crowd[name] if hot else 0))
        samples.append(
            NodeUsage(
                at=Nanoseconds(at),
                cpus=CPUS,
                used=sum(used.values()),
                system=sum(system.values()),
                runnable=sum(running.values()),
                pods={
                    name: PodUsage(
                        name=name,
                        criticality=who[name],
                        used=used[name],
                        system=system[name],
                        runnable=running[name],
                    )
                    for name in names
                },
            )
        )
    return samples, quiet, quiet + draw(st.integers(0, 4))


@given(scene=random_scenes(), threatened=st.sampled_from([Criticality.LOW, Criticality.HI]))
def test_a_second_writing_of_the_rule_finds_the_same_leader(
    scene: tuple[list[NodeUsage], int, int], threatened: Criticality
) -> None:
    samples, first_high, first_alarm = scene
    expected = oracle.culprits(samples, first_high, first_alarm, threatened)

    state = AttributionState()
    found: list[str | None] = []
    for index, sample in enumerate(samples):
        # Each sample by itself: whom two culprits' turns keep is another law.
        state = attribute(
            replace(state, finding=None, agreed=0),
            POLICY,
            sample,
            high=index >= first_high,
            alarm=index >= first_alarm,
            threatened=threatened,
        )
        if index >= first_alarm:
            finding = state.finding
            assert finding is not None
            found.append(finding.culprit.uid if finding.culprit else None)

    assert found == expected
