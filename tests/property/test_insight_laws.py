"""Laws of insight: shared texts say what the overview says, and nobody hidden is named."""

import json
import zlib
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from insight.access.rights import Rights
from insight.explanations.redaction import redact
from insight.overview.cut import cut
from insight.overview.row_texts import RowTexts
from insight.overview.shared_texts import GZIP_HEAD, SharedTexts, compress_part
from k40s.explanation.model import Explanation, Figure, NodeExplanation, Obstacle
from k40s.overview.model import Overview
from tests.property.test_overview_laws import HIDDEN, SHOWN, overviews

RIGHTS = st.builds(
    Rights,
    namespaces=st.none() | st.frozensets(st.sampled_from(HIDDEN + SHOWN)),
    nodes=st.booleans(),
    networks=st.booleans(),
)
SEQUENCES = st.lists(overviews, min_size=1, max_size=3)


@given(SEQUENCES)
def test_a_text_is_that_of_its_overview_whatever_was_written_before(
    sequence: list[Overview],
) -> None:
    texts = RowTexts()

    for overview in [*sequence, *sequence]:
        texts.begin()
        assert json.loads(texts.format(overview)) == json.loads(json.dumps(asdict(overview)))


@given(SEQUENCES, RIGHTS)
def test_compressed_events_are_the_plain_ones_wherever_a_stream_begins(
    sequence: list[Overview], rights: Rights
) -> None:
    texts = SharedTexts()
    events = [texts.get(number, one, rights) for number, one in enumerate(sequence, 1)]

    for first in range(len(events)):
        stream = zlib.decompressobj(wbits=31)
        received = stream.decompress(GZIP_HEAD)
        for one in events[first:]:
            received += stream.decompress(one.packed_event("now") + compress_part(b":\n\n"))

        assert received == b"".join(one.event("now") + b":\n\n" for one in events[first:])


@given(overviews, RIGHTS)
def test_a_reader_without_a_right_is_shown_nothing_of_it(
    overview: Overview, rights: Rights
) -> None:
    seen = cut(overview, rights)

    assert all(rights.covers(one.namespace) for one in seen.pods)
    assert rights.nodes or (seen.nodes, seen.unreadable) == ((), ())
    assert rights.networks or seen.networks == ()
    assert all(rights.covers(one.namespace) for one in seen.happenings if one.pod)
    named = [server for node in seen.nodes for core in node.cores for server in core.servers]
    assert all(rights.covers(one.namespace) for one in named if one.namespace)


NAMES = st.sampled_from(("pump", "valve", "pump-2"))
SPACES = st.sampled_from(("plant", "secretive"))


@st.composite
def obstacles(draw: st.DrawFn) -> Obstacle:
    """One whose names say whose it is."""
    namespace = draw(SPACES)
    pod = f"{draw(NAMES)}-of-{namespace}"
    form = draw(st.sampled_from(("core 1: {n}/{p}", "{p}", "beside {u}.", "core 1")))
    uid = f"uid-{pod}"
    return Obstacle(
        namespace=namespace,
        pod=pod,
        pod_uid=uid,
        criticality="HI",
        what=form.format(n=namespace, p=pod, u=uid),
    )


@given(st.lists(obstacles(), max_size=5))
def test_an_explanation_names_nobody_whom_its_reader_may_not_see(found: list[Obstacle]) -> None:
    sentences = tuple(f"without {one.namespace}/{one.pod}, {one.pod} it fits" for one in found)
    node = NodeExplanation(
        name="node",
        reason=None,
        text="".join(one.what for one in found[:1]),
        detail=" ".join(sentences),
        figures=tuple(Figure(what=one.what, needed="", free="") for one in found),
        obstacles=tuple(found),
        remedies=sentences,
        score=None,
        parts=(),
        age=None,
    )
    whole = Explanation(namespace="plant", pod="new", criticality="HI", fault=None, nodes=(node,))

    shown = redact(whole, lambda namespace: namespace == "plant")

    assert "secretive" not in json.dumps(asdict(shown))
    assert len(shown.nodes[0].obstacles) == len(found)
    plain = [one for one in found if one.namespace == "plant"]
    assert [one for one in shown.nodes[0].obstacles if one.pod] == plain
