"""The webhook says what the extender says, whatever stands in the annotations."""

import json

from hypothesis import given
from hypothesis import strategies as st

from extender.cache.workloads import WorkloadCache
from k40s.annotations import CRITICALITY_KEY, ENFORCEMENT_KEY, NETWORK_KEY, TASKS_KEY
from tests.fakes.webhook.reviews import make_body, make_pod, make_review, wrap
from webhook.admission_review import format_answer, parse_review
from webhook.defaults import Defaults, fill_in
from webhook.validation import validate

NAMES = ("main", "side")
TASKS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["t", "u", ""]),
            "container": st.sampled_from([*NAMES, "none"]),
            "period": st.sampled_from(["10ms", "1s", 5, "x"]),
            "deadline": st.sampled_from(["9ms", "99s"]),
            "wcet": st.sampled_from(["1ms", "20ms", {"edge": "1ms"}, {}]),
            "other": st.none(),
        },
    ),
    max_size=3,
).map(json.dumps)
TEXTS = st.one_of(TASKS, st.text(max_size=40), st.sampled_from(["[" * 20_000, "'" * 70_000]))
NETWORKS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(['[{"network": "lan", "peer": "n", "delay": "5ms"}]', "[{}]", "x" * 70_000]),
)
ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        CRITICALITY_KEY: st.sampled_from(["NO", "LOW", "HI", "high", ""]),
        TASKS_KEY: TEXTS,
        ENFORCEMENT_KEY: st.sampled_from(["rt-cgroup", "deadline", "x"]),
        NETWORK_KEY: NETWORKS,
    },
)
LABELS = st.fixed_dictionaries({}, optional={CRITICALITY_KEY: st.sampled_from(["LOW", "HI", "?"])})


@given(annotations=ANNOTATIONS, labels=LABELS, kind=st.sampled_from(["Pod", "Deployment"]))
def test_the_verdict_is_the_extenders_fault(
    annotations: dict[str, str], labels: dict[str, str], kind: str
) -> None:
    fault = WorkloadCache().read(labels=labels, annotations=annotations, containers=NAMES).fault

    verdict = validate(make_review(kind, wrap(kind, make_pod(annotations, labels, NAMES))))

    where = "spec.template: " if kind == "Deployment" and fault else ""
    assert verdict.refusal == where + fault


@given(annotations=ANNOTATIONS, labels=LABELS)
def test_what_stands_already_is_never_a_reason_to_refuse_an_update(
    annotations: dict[str, str], labels: dict[str, str]
) -> None:
    former = make_pod(annotations, labels, NAMES)
    later = make_pod(annotations | {"other": "x"}, labels | {"more": "y"}, NAMES)

    assert validate(make_review("Pod", later, former=former)).refusal == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(metadata=JSON, spec=JSON, kind=st.sampled_from(["Pod", "Deployment", "CronJob", "Service"]))
def test_any_object_is_answered(metadata: object, spec: object, kind: str) -> None:
    item = {"metadata": metadata, "spec": spec}
    review = parse_review(make_body(kind, item))

    for verdict in (validate(review), fill_in(review, Defaults(scheduler=True))):
        assert json.loads(format_answer("u", verdict))["response"]["uid"] == "u"
