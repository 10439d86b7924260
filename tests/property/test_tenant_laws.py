"""No order of arrivals, departures, repeats and expiries lets a namespace pass its bound."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from k40s.criticality import Criticality
from k40s.tenants.cpus import format_cpus, parse_cpus, round_up
from k40s.tenants.model import Bounds, Need, Usage, find_refusal, refuse
from k40s.units import NS_PER_S
from tests.fakes.extender.tenant_crowd import Replica, Truth, Wanted
from tests.fakes.extender.tenants import make_tenant

NAMESPACES = ("paint", "weld", "rest", "other")
NODES = ("n1", "n2")
CPUS, HI_PODS = "0.6", 2
SCOPES = ({"paint", "weld"}, {"rest"}, {"other"})
"""One Tenant names two namespaces; the Tenant ``default`` holds for each other one by itself."""

OLD = Wanted(uid="old", namespace="paint", criticality=Criticality.HI, percent=30)

pods = st.builds(
    lambda number, namespace, criticality, percent: Wanted(
        uid=f"{namespace}-{number}-{criticality.name}-{percent}",
        namespace=namespace,
        criticality=criticality,
        percent=percent,
    ),
    number=st.integers(0, 3),
    namespace=st.sampled_from(NAMESPACES),
    criticality=st.sampled_from([Criticality.LOW, Criticality.HI]),
    percent=st.sampled_from([0, 10, 20, 30, 50]),
)
binds = st.tuples(
    st.just("bind"),
    st.integers(0, 1),
    pods,
    st.sampled_from(NODES),
    st.sampled_from(["bound", "bound", "failed", "unknown", "lost"]),
)
steps = st.lists(
    st.one_of(
        binds,
        st.tuples(st.just("race"), binds, binds),
        st.tuples(st.sampled_from(["see-pods", "see-tenants"]), st.integers(0, 1)),
        st.tuples(st.just("end"), st.one_of(pods, st.just(OLD))),
        st.tuples(st.just("collect")),
        st.tuples(st.just("wait"), st.integers(1, 100)),
    ),
    max_size=25,
)


class Scene:
    """Two replicas of the extender, and a pod that was bound before there were Tenants."""

    def __init__(self) -> None:
        self.truth = Truth()
        self.truth.pods[OLD.uid] = replace(OLD.record, node="n1", phase="Running")
        self.truth.tenants.declare(make_tenant("line", SCOPES[0], cpus=CPUS, hi_pods=HI_PODS))
        self.truth.tenants.declare(make_tenant("default", cpus=CPUS, hi_pods=HI_PODS))
        self.replicas = [Replica(self.truth, name) for name in ("a", "b")]
        for replica in self.replicas:
            replica.see_tenants()
            replica.see_pods()

    def step(self, step: tuple[object, ...]) -> None:
        match step:
            case ("bind", int(replica), Wanted() as wanted, str(node), str(end)):
                self.bind(replica, wanted, node, end)
            case ("race", tuple(first), tuple(second)):
                self.race(first, second)
            case ("see-pods", int(replica)):
                self.replicas[replica].see_pods()
            case ("see-tenants", int(replica)):
                self.replicas[replica].see_tenants()
            case ("end", Wanted() as wanted):
                self.truth.pods.pop(wanted.uid, None)
            case ("collect",):
                self.truth.collect()
            case ("wait", int(seconds)):
                self.truth.now += seconds * NS_PER_S

    def bind(self, replica: int, wanted: Wanted, node: str, end: str) -> None:
        self.truth.pods.setdefault(wanted.uid, wanted.record)
        self.replicas[replica].bind(wanted, node, lambda: end)

    def race(self, first: tuple[object, ...], second: tuple[object, ...]) -> None:
        """The second bind happens wholly between the first one's decision and its write."""
        waiting = [second]

        def on_call(call: str) -> None:
            if call == "update" and waiting:
                self.step(waiting.pop())

        self.truth.tenants.on_call = on_call
        self.step(first)
        self.truth.tenants.on_call = lambda _call: None

    def check(self) -> None:
        workloads = self.replicas[0].workloads
        for scope in SCOPES:
            used = self.truth.used(workloads, frozenset(scope))
            assert used.bandwidth <= Fraction(CPUS), (scope, used)
            assert used.high <= HI_PODS, (scope, used)


@given(steps)
def test_no_order_lets_a_namespace_pass_its_bound(taken: list[tuple[object, ...]]) -> None:
    scene = Scene()

    for step in taken:
        scene.step(step)
        scene.check()


@given(steps)
def test_everything_is_given_back_in_the_end(taken: list[tuple[object, ...]]) -> None:
    scene = Scene()
    for step in taken:
        scene.step(step)

    scene.truth.pods.clear()
    scene.truth.collect()

    assert all(not state.reservations for state in scene.truth.tenants.states.values())


@given(steps, st.integers(0, 1))
def test_what_others_use_never_refuses_a_pod(taken: list[tuple[object, ...]], replica: int) -> None:
    """A HI pod of a namespace without pods is not refused, whatever the others hold."""
    scene = Scene()
    for step in taken:
        scene.step(step)
    for one in [uid for uid, pod in scene.truth.pods.items() if pod.namespace == "other"]:
        del scene.truth.pods[one]
    scene.truth.collect()
    scene.replicas[replica].see_pods()
    scene.replicas[replica].see_tenants()
    wanted = Wanted(uid="new", namespace="other", criticality=Criticality.HI, percent=60)

    scene.truth.pods["new"] = wanted.record

    assert scene.replicas[replica].bind(wanted, "n1", lambda: "bound") is None


needs = st.lists(
    st.builds(
        Need,
        uid=st.sampled_from("abcdef"),
        namespace=st.just("n"),
        criticality=st.sampled_from(Criticality),
        bandwidth=st.fractions(0, 2, max_denominator=50),
    ),
    max_size=8,
)


@given(needs, needs, st.fractions(0, 3, max_denominator=20), st.integers(0, 3))
def test_what_is_refused_once_is_refused_beside_more(
    held: list[Need], more: list[Need], bandwidth: Fraction, hi_pods: int
) -> None:
    bounds = Bounds(bandwidth=bandwidth, hi_pods=hi_pods)
    new = Need(uid="new", namespace="n", criticality=Criticality.HI, bandwidth=Fraction(1, 5))

    before = find_refusal(bounds, held, new)

    assert before is None or refuse(bounds, Usage.of([*held, *more]), new) is not None


@given(needs, needs)
def test_no_order_changes_a_usage(held: list[Need], more: list[Need]) -> None:
    one, other = Usage.of([*held, *more]), Usage.of([*more, *held])

    assert (one.bandwidth, one.high) == (other.bandwidth, other.high)


@given(st.fractions(0, 999_999))
def test_cpus_are_read_back_as_they_were_written(value: Fraction) -> None:
    whole = round_up(value)

    assert parse_cpus(format_cpus(whole)) == whole
    assert 0 <= whole - value < Fraction(1, 10**9)
