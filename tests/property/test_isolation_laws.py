"""A node fits iff the pod has the mapped class and the node its handler, as reported last."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from extender.cache.runtimes import RuntimeTable
from extender.placement.isolation import Isolation
from k40s.criticality import Criticality
from k40s.kube.objects.runtimes import NodeRuntimes, RuntimeClassRecord
from k40s.reasons import Reason

CLASSES = st.sampled_from(["kata", "runc", "other"])
HANDLERS = st.sampled_from(["a", "b", ""])
NAMES = st.sampled_from(["n1", "n2", "n3"])
HELD = st.frozensets(st.sampled_from(["a", "b"]))
MAPPINGS = st.dictionaries(st.sampled_from(Criticality), CLASSES)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("class"), CLASSES, st.none() | HANDLERS),
        st.tuples(st.just("node"), NAMES, st.none() | HELD),
        st.tuples(st.just("classes"), st.dictionaries(CLASSES, HANDLERS), st.booleans()),
        st.tuples(st.just("nodes"), st.dictionaries(NAMES, HELD), st.booleans()),
    ),
    max_size=20,
)


def report(
    table: RuntimeTable, classes: dict[str, str], nodes: dict[str, frozenset[str]], change: tuple
) -> None:  # type: ignore[type-arg]  # one of CHANGES
    """One change, to the table and to plain dictionaries."""
    what, key, value = change
    if what in ("class", "node"):
        known, feed = (classes, table.classes) if what == "class" else (nodes, table.nodes)
        if value is None:
            known.pop(key, None)
            feed.delete(key)
            return
        known[key] = value
        if what == "class":
            table.classes.upsert(RuntimeClassRecord(name=key, handler=value))
        else:
            table.nodes.upsert(NodeRuntimes(name=key, handlers=value))
        return
    known = classes if what == "classes" else nodes
    if value:
        known.clear()
    known.update(key)
    if what == "classes":
        records = [RuntimeClassRecord(name=name, handler=text) for name, text in key.items()]
        (table.classes.replace if value else table.classes.merge)(records)
    else:
        held = [NodeRuntimes(name=name, handlers=found) for name, found in key.items()]
        (table.nodes.replace if value else table.nodes.merge)(held)


def expected(
    mapping: Mapping[Criticality, str],
    classes: Mapping[str, str],
    nodes: Mapping[str, frozenset[str]],
    criticality: Criticality,
    runtime_class: str,
    node: str,
) -> Reason | None:
    """The rule as docs/isolation.md states it."""
    if criticality not in mapping:
        return None
    if runtime_class != mapping[criticality]:
        return Reason.ISOLATION_CLASS
    handler = classes.get(runtime_class, "")
    fits = handler != "" and handler in nodes.get(node, frozenset())
    return None if fits else Reason.ISOLATION_NO_RUNTIME


@given(
    changes=CHANGES,
    mapping=MAPPINGS,
    criticality=st.sampled_from(Criticality),
    runtime_class=CLASSES | st.just(""),
    node=NAMES,
)
def test_a_decision_is_the_rule_applied_to_what_was_reported_last(
    changes: list[tuple[str, object, object]],
    mapping: dict[Criticality, str],
    criticality: Criticality,
    runtime_class: str,
    node: str,
) -> None:
    heard: list[None] = []
    table = RuntimeTable(on_change=lambda: heard.append(None))
    classes: dict[str, str] = {}
    nodes: dict[str, frozenset[str]] = {}
    isolation = Isolation(classes=mapping, runtimes=table)
    verdict = isolation.refusal(node, runtime_class, criticality)

    for change in changes:
        count = len(heard)
        report(table, classes, nodes, change)
        found = isolation.refusal(node, runtime_class, criticality)
        assert found == expected(mapping, classes, nodes, criticality, runtime_class, node)
        assert found == verdict or len(heard) > count
        verdict = found
