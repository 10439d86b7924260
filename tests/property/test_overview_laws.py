"""Laws of overviews: JSON is read back, and nothing of a hidden namespace is left."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from k40s.overview.json import format_overview, parse_overview
from k40s.overview.model import (
    CoreRow,
    DaemonRow,
    Happening,
    NetworkRow,
    NodeRow,
    Overview,
    PodRow,
    ServerRow,
    SlotRow,
    SuspectRow,
)
from k40s.overview.redaction import visible

HIDDEN = ("hiddenone", "hidden-two")
SHOWN = ("plant", "shown-two")
UIDS = {
    name: f"{number:08x}-0000-4000-8000-000000000000"
    for number, name in enumerate(
        f"{space}/{pod}" for space in HIDDEN + SHOWN for pod in ("xq-pump", "yqvalve")
    )
}

namespaces = st.sampled_from(HIDDEN + SHOWN)
plain = st.text(max_size=8)
numbers = st.floats(0, 1e6)


def pod_name(namespace: str, name: str) -> str:
    """A name that says whose it is, so that what leaks is found."""
    return f"{name}-of-{namespace}"


@st.composite
def identities(draw: st.DrawFn) -> tuple[str, str, str]:
    """Namespace, name and UID of a pod; an unknown one has its UID's beginning alone."""
    namespace = draw(namespaces)
    name = draw(st.sampled_from(("xq-pump", "yqvalve")))
    uid = UIDS[f"{namespace}/{name}"]
    if draw(st.booleans()):
        return namespace, pod_name(namespace, name), uid
    return "", "", f"hidden{uid[:2]}"


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Sentences that may name pods of any namespace, in every form that our texts have."""
    namespace, name, uid = draw(identities())
    forms = ("", "it", f"{namespace}/{name}", f"pod {name}", uid, f"pod {uid}: x")
    named = draw(st.sampled_from(forms if namespace else forms[:2]))
    before = draw(st.sampled_from(("pod ", "", "rule: ")))
    return f"{before}{named}{draw(st.sampled_from((' is', '.', '; 2')))}"


@st.composite
def servers(draw: st.DrawFn) -> ServerRow:
    namespace, pod, uid = draw(identities())
    return ServerRow(
        pod_uid=uid,
        namespace=namespace,
        pod=pod,
        container="main",
        criticality="HI",
        mechanism="rt-cgroup",
        budget=draw(numbers),
        period=draw(numbers),
        share=draw(st.floats(0, 1)),
    )


@st.composite
def pods(draw: st.DrawFn) -> PodRow:
    namespace = draw(namespaces)
    name = draw(st.sampled_from(("xq-pump", "yqvalve")))
    return PodRow(
        namespace=namespace,
        name=pod_name(namespace, name),
        uid=UIDS[f"{namespace}/{name}"],
        criticality=draw(st.sampled_from(("", "NO", "LOW", "HI"))),
        node=draw(plain),
        phase="Running",
        state="running",
        why=draw(texts()),
        tasks=draw(st.integers(0, 9)),
        enforced=draw(st.none() | st.booleans()),
        enforced_why=draw(texts()),
        since="",
    )


@st.composite
def suspects(draw: st.DrawFn) -> SuspectRow:
    namespace, pod, _ = draw(identities())
    return SuspectRow(namespace=namespace, pod=pod, evidence=draw(texts()), act="frozen")


@st.composite
def slots(draw: st.DrawFn) -> SlotRow:
    namespace, pod, uid = draw(identities())
    return SlotRow(
        pod_uid=uid,
        namespace=namespace,
        pod=pod,
        node="edge",
        offset=draw(numbers),
        length=draw(numbers),
        period=1,
        phase=0,
    )


@st.composite
def happenings(draw: st.DrawFn) -> Happening:
    namespace, pod, _ = draw(identities())
    return Happening(
        at="2026-03-01T12:00:00Z",
        kind="act",
        node="edge",
        namespace=namespace,
        pod=draw(st.sampled_from(("", pod))),
        text=draw(texts()),
    )


def few(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, max_size=4).map(tuple)


nodes = st.builds(
    NodeRow,
    name=plain,
    ready=st.booleans(),
    real_time=st.booleans(),
    level=st.none() | st.integers(0, 20),
    hardware=st.none() | st.integers(0, 5),
    software=st.none() | st.integers(0, 5),
    reduced=st.integers(0, 10),
    hazards=few(plain),
    suspects=few(suspects()),
    assurance_refusal=st.none() | plain,
    cpu_refusal=st.none() | plain,
    platform=plain,
    cores=few(st.builds(CoreRow, core=plain, capacity=numbers, servers=few(servers()))),
    daemons=few(st.builds(DaemonRow, name=plain, silent=st.none() | numbers)),
)
networks = st.builds(
    NetworkRow,
    name=plain,
    kind=plain,
    cycle=st.none() | numbers,
    utilization=numbers,
    slots=few(slots()),
    nodes=few(plain),
    refusal=st.none() | plain,
)
overviews = st.builds(
    Overview,
    at=plain,
    nodes=few(nodes),
    pods=few(pods()),
    networks=few(networks),
    happenings=few(happenings()),
    unreadable=few(texts()),
)


def may_see(namespace: str) -> bool:
    return namespace in SHOWN


@given(overviews)
def test_json_is_read_back(overview: Overview) -> None:
    assert parse_overview(format_overview(overview)) == overview


@given(overviews)
def test_nothing_of_a_hidden_namespace_is_left(overview: Overview) -> None:
    shown = format_overview(visible(overview, may_see))

    assert "hidden" not in shown
    for full, uid in UIDS.items():
        if full.startswith(HIDDEN):
            assert uid not in shown


@given(overviews)
def test_what_is_reserved_of_a_core_stays(overview: Overview) -> None:
    shown = visible(overview, may_see)

    for before, after in zip(overview.nodes, shown.nodes, strict=True):
        for one, other in zip(before.cores, after.cores, strict=True):
            assert (
                abs(sum(s.share for s in one.servers) - sum(s.share for s in other.servers)) < 1e-9
            )
    assert [len(one.slots) for one in shown.networks] == [
        len(one.slots) for one in overview.networks
    ]


@given(overviews)
def test_redaction_is_idempotent_but_for_texts_of_unnamed_pods(overview: Overview) -> None:
    shown = visible(overview, may_see)
    again = visible(shown, may_see)

    assert [replace(one, suspects=()) for one in again.nodes] == [
        replace(one, suspects=()) for one in shown.nodes
    ]
    assert [one.name for one in again.pods] == [one.name for one in shown.pods]
