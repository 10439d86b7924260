"""Keys of k40s on what makes pods, where they reach none: counted, and reported to the owner."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Gauge

from extender.monitoring.unreached import EVENT, UnreachedKeys, describe
from k40s.annotations import CRITICALITY_KEY, ENFORCEMENT_KEY, TASKS_KEY
from k40s.errors import UnavailableError
from k40s.kube.objects.pod_templates import POD_OWNERS, pod_owner_record
from k40s.kube.records import ObjectRef, PodOwnerRecord
from k40s.kube.transport import ConflictError
from tests.fakes.extender.world import FakeClock

HI = {CRITICALITY_KEY: "HI"}


def maker(
    kind: str,
    *,
    own: dict[str, object] | None = None,
    pods: dict[str, object] | None = None,
    **metadata: object,
) -> PodOwnerRecord:
    template = {"metadata": pods or {}, "spec": {"containers": []}}
    spec: dict[str, object] = {"template": template}
    if kind == "CronJob":
        spec = {"jobTemplate": {"spec": spec}}
    meta = {"uid": "u", "namespace": "plant", "name": "web", **(own or {}), **metadata}
    return pod_owner_record(kind, POD_OWNERS[kind][0], {"metadata": meta, "spec": spec})


class Events:
    """Takes events; a repeat of one is a conflict, as at the API server."""

    def __init__(self) -> None:
        self.written: dict[tuple[ObjectRef, str], str] = {}
        self.failing: set[str] = set()
        """Namespaces in which the API server fails to write events."""

    def create_event(
        self,
        about: ObjectRef,
        *,
        reason: str,
        message: str,
        component: str,
        warning: bool = False,
        once: str = "",
    ) -> None:
        assert (component, warning, reason) == ("k40s-extender", True, EVENT)
        if about.namespace in self.failing:
            raise UnavailableError("500 a webhook")
        if (about, once) in self.written:
            raise ConflictError("there is such an event")
        self.written[about, once] = message


class Scene:
    """Two replicas would share the events; the clock is the test's."""

    def __init__(self) -> None:
        self.clock, self.events, registry = FakeClock(), Events(), CollectorRegistry()
        self.gauge = Gauge("unreached", "of the test", registry=registry)
        self.keys = UnreachedKeys(
            events=self.events, counted=self.gauge, clock=self.clock.monotonic
        )
        self.count = lambda: registry.get_sample_value("unreached")

    def looks(self, seconds: int) -> None:
        for _ in range(seconds):
            self.keys.look()
            self.clock.advance(1)


@pytest.mark.parametrize("kind", POD_OWNERS)
@pytest.mark.parametrize("part", ["annotations", "labels"])
def test_a_criticality_on_the_maker_alone_reaches_no_pod(kind: str, part: str) -> None:
    record = maker(kind, own={part: HI})

    assert record.unreached == (CRITICALITY_KEY,)


def test_a_criticality_on_the_job_of_a_cron_job_reaches_no_pod() -> None:
    job = {"metadata": {"annotations": HI}, "spec": {"template": {"spec": {}}}}
    meta = {"uid": "u", "namespace": "plant", "name": "web"}

    record = pod_owner_record(
        "CronJob", "batch/v1", {"metadata": meta, "spec": {"jobTemplate": job}}
    )

    assert record.unreached == (CRITICALITY_KEY,)


@pytest.mark.parametrize(
    ("own", "pods"),
    [
        ({}, {"annotations": HI}),
        ({"annotations": HI}, {"annotations": HI}),
        ({"annotations": HI}, {"labels": HI}),
        ({"annotations": {"other.io/key": "x"}}, {}),
        ({}, {}),
    ],
)
def test_what_the_pods_have_as_well_is_no_fault(
    own: dict[str, object], pods: dict[str, object]
) -> None:
    assert maker("Deployment", own=own, pods=pods).unreached == ()


def test_another_value_on_the_pods_is_a_fault() -> None:
    pods: dict[str, object] = {"annotations": {CRITICALITY_KEY: "LOW"}}

    assert maker("Deployment", own={"annotations": HI}, pods=pods).unreached == (CRITICALITY_KEY,)


@pytest.mark.parametrize(
    "item",
    [
        {"spec": None},
        {"spec": {"template": 5}},
        {"spec": {"template": {"metadata": {"annotations": []}}}},
        {"spec": {"jobTemplate": "x"}},
    ],
)
@pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
def test_an_object_of_any_shape_is_read(kind: str, item: dict[str, object]) -> None:
    meta = {"uid": "u", "namespace": "plant", "name": "web", "ownerReferences": 3}

    record = pod_owner_record(kind, "apps/v1", {"metadata": meta, **item})

    assert record.key == "u"
    assert not record.controlled


def test_the_owner_is_told_once_with_what_would_be_right() -> None:
    scene = Scene()
    scene.keys.feed("Deployment").upsert(maker("Deployment", own={"annotations": HI}))

    scene.looks(3)
    early = dict(scene.events.written)
    scene.looks(60)

    assert early == {}
    ((about, text),) = ((about, text) for (about, _), text in scene.events.written.items())
    assert (about.kind, about.api_version, about.name) == ("Deployment", "apps/v1", "web")
    assert "spec.template.metadata.annotations" in text
    assert scene.count() == 1


def test_all_keys_are_named_together() -> None:
    own = {"annotations": {**HI, TASKS_KEY: "[]", ENFORCEMENT_KEY: "deadline"}}

    text = describe(maker("CronJob", own=own))

    assert text.startswith(f"{CRITICALITY_KEY}, {TASKS_KEY}, {ENFORCEMENT_KEY} on the CronJob")
    assert text.endswith("put them into spec.jobTemplate.spec.template.metadata.annotations")


def test_what_another_object_made_is_not_told() -> None:
    scene = Scene()
    owners = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": True}]
    record = maker("ReplicaSet", own={"annotations": HI}, ownerReferences=owners)
    scene.keys.feed("ReplicaSet").upsert(record)

    scene.looks(60)

    assert scene.events.written == {}
    assert scene.count() == 0


@pytest.mark.parametrize(
    ("kind", "version"),
    [("Rollout", "argoproj.io/v1alpha1"), ("Job", "batch.volcano.sh/v1alpha1"), ({}, [])],
)
def test_what_an_object_of_an_unknown_kind_made_is_told_on_what_it_made(
    kind: object, version: object
) -> None:
    scene = Scene()
    owners = [{"apiVersion": version, "kind": kind, "name": "web", "controller": True}]
    record = maker("ReplicaSet", own={"annotations": HI}, ownerReferences=owners)
    scene.keys.feed("ReplicaSet").upsert(record)

    scene.looks(60)

    assert len(scene.events.written) == 1


@pytest.mark.parametrize("key", [TASKS_KEY, ENFORCEMENT_KEY])
def test_a_label_of_the_pods_is_no_annotation(key: str) -> None:
    pods: dict[str, object] = {"labels": {key: "deadline"}}

    record = maker("Deployment", own={"annotations": {key: "deadline"}}, pods=pods)

    assert record.unreached == (key,)


def test_a_namespace_full_of_misplaced_keys_delays_no_other_for_long() -> None:
    scene = Scene()
    feed = scene.keys.feed("Deployment")
    for number in range(500):
        feed.upsert(maker("Deployment", own={"annotations": HI}, uid=f"u{number}", namespace="bad"))
    scene.looks(30)
    feed.upsert(maker("Deployment", own={"annotations": HI}, uid="v", namespace="good"))

    scene.looks(70)

    written = [about.namespace for about, _ in scene.events.written]
    assert written.count("good") == 1
    assert len(written) <= 61


def test_namespaces_that_take_no_events_keep_no_other_waiting() -> None:
    scene = Scene()
    feed = scene.keys.feed("Deployment")
    scene.events.failing = {"bad", "worse"}
    for namespace in ("bad", "worse", "good"):
        own: dict[str, object] = {"annotations": HI}
        feed.upsert(maker("Deployment", own=own, uid=namespace, namespace=namespace))

    scene.looks(20)
    while_failing = [about.namespace for about, _ in scene.events.written]
    scene.events.failing = set()
    scene.looks(5)

    assert while_failing == ["good"]
    assert len(scene.events.written) == 3


def test_what_is_mended_or_deleted_in_time_is_not_told() -> None:
    scene = Scene()
    feed = scene.keys.feed("Deployment")
    wrong = maker("Deployment", own={"annotations": HI})
    feed.replace([wrong, replace(wrong, about=replace(wrong.about, uid="v"))])
    scene.looks(3)

    feed.upsert(maker("Deployment"))
    feed.delete("v")
    scene.looks(60)

    assert scene.events.written == {}
    assert scene.count() == 0


def test_a_list_of_one_kind_leaves_the_others() -> None:
    scene = Scene()
    scene.keys.feed("Deployment").upsert(maker("Deployment", own={"annotations": HI}))

    scene.keys.feed("Job").replace([])
    scene.looks(1)
    with_it = scene.count()
    scene.keys.feed("Deployment").replace([])
    scene.looks(1)

    assert (with_it, scene.count()) == (1, 0)
