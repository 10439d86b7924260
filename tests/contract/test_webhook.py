"""The webhook beside a real API server: what is refused at apply, and what its absence means."""

import socket
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from extender.cache.workloads import WorkloadCache
from k40s.kube.objects.pod_templates import POD_OWNERS
from localcluster.errors import CommandError
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT
from tests.fakes.registered_nodes import MERGE, PODS, Api, prepare, wait_until, wait_until_heeded
from tests.fakes.webhook.process import (
    RunningWebhook,
    configurations,
    new_authority,
    start_webhook,
    wait_ready,
    write_certificate,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
BASE = ROOT / "manifests" / "base"
BAD = {
    "k40s.io/criticality": "HI",
    "k40s.io/tasks": '[{"name": "t", "wcet": {"edge": "1ms"}, "period": 100}]',
}
GOOD = {
    "k40s.io/criticality": "HI",
    "k40s.io/tasks": '[{"name": "t", "wcet": {"edge": "1ms"}, "period": "100ms"}]',
}
PLURALS = {
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}
MUTATING_POLICIES = [
    "--feature-gates=MutatingAdmissionPolicy=true",
    "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
]
"""What 1.36 has without flags, and as v1."""
KINDS = ["Pod", *POD_OWNERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A control plane with the webhook beside it, and the directory of the webhook's Secret."""

    api: Api
    plane: ControlPlane
    webhook: RunningWebhook
    tls: Path

    @contextmanager
    def restarted(self, *, expired: bool = False) -> Iterator[None]:
        """Within the block it is down, or has an expired certificate; both are new after it."""
        self.plane.supervisor.stop("webhook")
        try:
            if expired:
                self._start(expired=True)
            yield
        finally:
            self.plane.supervisor.stop("webhook")
            self._start()
            wait_until(lambda: attempt(self.api, "Pod", GOOD) == "")

    @contextmanager
    def configured(self, url: str | None) -> Iterator[None]:
        """Within the block another webhook is configured, with a timeout of 1 s, or none."""
        remove(self.api)
        try:
            if url is not None:
                register(self.api, configurations(url, timeout=1))
            yield
        finally:
            remove(self.api)
            register(self.api, configurations(self.webhook.url))
            wait_until(lambda: "$[0].period" in attempt(self.api, "Pod", BAD))

    def _start(self, *, expired: bool = False) -> None:
        write_certificate(self.tls, new_authority(), expired=expired)
        port = int(self.webhook.url.rpartition(":")[2])
        wait_ready(self.plane, start_webhook(self.plane, self.tls, port=port))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Scene]:
    place = tmp_path_factory.mktemp("webhook")
    tls = place / "tls"
    write_certificate(tls, new_authority())
    with ControlPlane.on_loopback(
        directory=place / "plane", binaries=binaries, api_flags=MUTATING_POLICIES
    ) as plane:
        api = Api(plane)
        prepare(api)
        for name in ("rbac", "admission-pods", "admission-priorities", "priority-classes"):
            plane.kubectl("apply", "--filename", str(BASE / f"{name}.yaml"))
        account = {"metadata": {"name": "default"}}
        api.request("POST", "/api/v1/namespaces/k40s-system/serviceaccounts", account)
        wait_until_heeded(api)
        webhook = start_webhook(plane, tls)
        register(api, configurations(webhook.url))
        wait_ready(plane, webhook)
        wait_until(lambda: "$[0].period" in attempt(api, "Pod", BAD))
        yield Scene(api=api, plane=plane, webhook=webhook, tls=tls)
        api.close()


def register(api: Api, documents: list[dict[str, Any]]) -> None:
    for document in documents:
        api.request("POST", f"{REGISTRATION}/{PLURALS[document['kind']]}", document)


def make(kind: str, annotations: dict[str, str], *, name: str = "new") -> dict[str, Any]:
    """An object of this kind, whose pods have the annotations."""
    pod = {
        "metadata": {"annotations": annotations, "labels": {"app": "new"}},
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [{"name": "main", "image": "app"}],
        },
    }
    if kind == "Pod":
        return {**pod, "metadata": {**pod["metadata"], "name": name}}
    spec: dict[str, Any] = {"template": pod}
    if kind in ("Job", "CronJob"):
        pod["spec"]["restartPolicy"] = "Never"
    else:
        match = {"app": "new"}
        spec["selector"] = match if kind == "ReplicationController" else {"matchLabels": match}
    if kind == "CronJob":
        spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": spec}}
    return {"metadata": {"name": name}, "spec": spec}


def place_of(kind: str, namespace: str = "default") -> str:
    version, plural = POD_OWNERS.get(kind, ("v1", "pods"))
    root = "apis" if "/" in version else "api"
    return f"/{root}/{version}/namespaces/{namespace}/{plural}"


def attempt(api: Api, kind: str, annotations: dict[str, str], *, namespace: str = "default") -> str:
    """Return "" when the API server would create it, else what it says."""
    path = f"{place_of(kind, namespace)}?dryRun=All"
    answer = api.request("POST", path, make(kind, annotations), accepted=(403, 422, 500))
    return str(answer["message"]) if answer.get("kind") == "Status" else ""


@contextmanager
def stored(api: Api, kind: str, annotations: dict[str, str]) -> Iterator[str]:
    """The path of such an object, which is deleted with the block."""
    place = place_of(kind)
    api.request("POST", place, make(kind, annotations, name="stored"))
    try:
        yield f"{place}/stored"
    finally:
        api.request("DELETE", f"{place}/stored", {"gracePeriodSeconds": 0})


def told_by_the_extender(annotations: dict[str, str]) -> str:
    return WorkloadCache().read(labels={}, annotations=annotations, containers=("main",)).fault


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_annotation_is_refused_with_the_extenders_text(scene: Scene, kind: str) -> None:
    fault = told_by_the_extender(BAD)

    said = attempt(scene.api, kind, BAD)

    assert "$[0].period" in fault
    assert said.endswith(fault)
    assert f"spec.template: {fault}" in said or kind in ("Pod", "CronJob")
    assert f"spec.jobTemplate.spec.template: {fault}" in said or kind != "CronJob"


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_one_is_taken_and_so_is_one_without_our_keys(scene: Scene, kind: str) -> None:
    assert attempt(scene.api, kind, GOOD) == ""
    assert attempt(scene.api, kind, {}) == ""


def test_a_misspelt_key_is_refused_with_the_right_one(scene: Scene) -> None:
    said = attempt(scene.api, "Deployment", {"k40s.io/critcality": "HI"})

    assert "k40s.io/critcality, expected k40s.io/criticality" in said


@pytest.mark.parametrize(
    ("criticality", "name", "priority"),
    [("HI", "k40s-hi", 900_000_000), ("LOW", "k40s-low", 800_000_000), ("NO", None, 0)],
)
def test_a_pod_gets_its_scheduler_and_the_priority_of_its_class(
    scene: Scene, criticality: str, name: str | None, priority: int
) -> None:
    spec = created(scene.api, criticality)

    ours = "default-scheduler" if criticality == "NO" else "k40s-scheduler"
    assert spec["schedulerName"] == ours
    assert (spec.get("priorityClassName"), spec["priority"]) == (name, priority)
    assert spec["preemptionPolicy"] == "PreemptLowerPriority"


@pytest.mark.parametrize(
    ("criticality", "name", "complaint"),
    [
        ("LOW", "k40s-hi", "PriorityClass of its criticality"),
        ("NO", "k40s-low", "PriorityClass of its criticality"),
        ("HI", "system-node-critical", "PriorityClass of its criticality"),
        (None, "k40s-hi", "k40s-hi is for pods with k40s.io/criticality: HI"),
        ("HI", "ordinary", ""),
        ("LOW", "ordinary", ""),
        (None, "ordinary", ""),
        (None, "system-node-critical", ""),
    ],
)
def test_a_priority_fits_its_pods_criticality(
    scene: Scene, criticality: str | None, name: str, complaint: str
) -> None:
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    ordinary = {"metadata": {"name": "ordinary"}, "value": 1_000_000}
    scene.api.request("POST", classes, ordinary, accepted=(409,))
    pod = make("Pod", {} if criticality is None else {"k40s.io/criticality": criticality})
    pod["spec"]["priorityClassName"] = name

    answer = scene.api.request("POST", f"{PODS}?dryRun=All", pod, accepted=(403, 422))

    said = str(answer["message"]) if answer.get("kind") == "Status" else ""
    assert complaint in said
    assert complaint or said == ""


def test_the_api_server_refuses_a_priority_that_is_not_its_classs(scene: Scene) -> None:
    pod = make("Pod", {"k40s.io/criticality": "HI"})
    pod["spec"] |= {"priorityClassName": "k40s-hi", "priority": 0}

    answer = scene.api.request("POST", f"{PODS}?dryRun=All", pod, accepted=(403,))

    assert "computed 900000000 from the given PriorityClass" in answer["message"]


def test_what_stood_before_the_webhook_may_still_be_updated(scene: Scene) -> None:
    with scene.configured(None), stored(scene.api, "Deployment", BAD) as path:
        register(scene.api, configurations(scene.webhook.url))
        wait_until(lambda: "$[0].period" in attempt(scene.api, "Deployment", BAD))

        for change in (
            {"metadata": {"labels": {"team": "a"}}},
            {"metadata": {"annotations": {"k40s.io/criticality": "HI"}}},
            {"spec": {"template": {"metadata": {"annotations": {"other": "b"}}}}},
        ):
            scene.api.request("PATCH", path, change, kind=MERGE)
        worse = {"spec": {"template": {"metadata": {"annotations": {"k40s.io/metric": "{"}}}}}
        answer = scene.api.request("PATCH", path, worse, kind=MERGE, accepted=(422,))

        assert "k40s.io/metric" in answer["message"]


def remove(api: Api) -> None:
    for plural, name in zip(PLURALS.values(), ("k40s-validation", "k40s-defaults"), strict=True):
        api.request("DELETE", f"{REGISTRATION}/{plural}/{name}", accepted=(404,))
    wait_until(lambda: attempt(api, "Job", BAD) == "")


def bundles(api: Api) -> list[str]:
    names = zip(PLURALS.values(), ("k40s-validation", "k40s-defaults"), strict=True)
    found = [api.request("GET", f"{REGISTRATION}/{plural}/{name}") for plural, name in names]
    hooks = [hook["clientConfig"] for document in found for hook in document["webhooks"]]
    return [b64decode(one.get("caBundle", "")).decode() for one in hooks]


def test_a_key_that_is_written_onto_the_owner_itself_brings_a_warning(scene: Scene) -> None:
    words = ("annotate", "deployment/stored", "k40s.io/criticality=HI", "--namespace=default")

    with (
        stored(scene.api, "Deployment", {}),
        pytest.raises(CommandError, match="reaches no pod"),
    ):
        scene.plane.kubectl(*words, "--warnings-as-errors")


def test_certificates_are_replaced_without_a_restart(scene: Scene) -> None:
    pid = scene.plane.pid("webhook")
    authority = new_authority()

    write_certificate(scene.tls, authority)
    ours = authority.certificate.decode().strip()
    wait_until(lambda: all(ours in one for one in bundles(scene.api)))

    wait_until(lambda: attempt(scene.api, "Pod", GOOD) == "")
    assert told_by_the_extender(BAD) in attempt(scene.api, "Job", BAD)
    assert scene.plane.pid("webhook") == pid


def all_else_goes_on(api: Api) -> None:
    """What does not concern the webhook is created while it does not answer."""
    assert attempt(api, "Pod", {}) == ""
    assert attempt(api, "Deployment", {}) == ""
    assert attempt(api, "Pod", {"k40s.io/criticality": "NO"}, namespace="k40s-system") == ""
    assert attempt(api, "Job", BAD, namespace="k40s-system") == ""


def test_while_it_is_down_our_pods_are_refused_and_nothing_else_is(scene: Scene) -> None:
    labels = {"metadata": {"labels": {"team": "a"}, "annotations": {"other": "b"}}}
    with (
        stored(scene.api, "Pod", GOOD) as pod,
        stored(scene.api, "Deployment", GOOD) as deployment,
        scene.restarted(),
    ):
        said = attempt(scene.api, "Job", GOOD), attempt(scene.api, "CronJob", GOOD)

        assert all("failed calling webhook" in one for one in said)
        all_else_goes_on(scene.api)
        for path in (pod, deployment):
            scene.api.request("PATCH", path, labels, kind=MERGE)


def test_an_expired_certificate_refuses_our_pods_and_nothing_else(scene: Scene) -> None:
    with scene.restarted(expired=True):
        wait_until(lambda: "certificate has expired" in attempt(scene.api, "Deployment", GOOD))

        all_else_goes_on(scene.api)


def test_one_that_does_not_answer_in_time_refuses_our_pods_and_nothing_else(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with scene.configured(url):
            wait_until(lambda: attempt(scene.api, "Job", GOOD))

            said = attempt(scene.api, "Pod", GOOD)

            assert "failed calling webhook" in said
            all_else_goes_on(scene.api)


def test_the_component_for_newer_versions_fills_in_the_same(scene: Scene) -> None:
    policy = ROOT / "manifests" / "components" / "defaults-policy" / "policy.yaml"
    text = policy.read_text().replace("k8s.io/v1\n", "k8s.io/v1beta1\n")
    with scene.configured(None):
        scene.plane.kubectl("apply", "--filename=-", stdin=text)
        wait_until(lambda: created(scene.api, "HI")["schedulerName"] == "k40s-scheduler")

        found = {
            one: (spec["schedulerName"], spec.get("priorityClassName"), spec["priority"])
            for one in ("HI", "LOW", "NO")
            for spec in [created(scene.api, one)]
        }

        scene.plane.kubectl("delete", "--filename=-", stdin=text)
        assert found == {
            "HI": ("k40s-scheduler", "k40s-hi", 900_000_000),
            "LOW": ("k40s-scheduler", "k40s-low", 800_000_000),
            "NO": ("default-scheduler", None, 0),
        }


def created(api: Api, criticality: str) -> dict[str, Any]:
    """The spec of such a pod, as the API server would store it."""
    pod = make("Pod", {"k40s.io/criticality": criticality})
    answer = api.request("POST", f"{PODS}?dryRun=All", pod, accepted=(403, 422))
    return dict(answer.get("spec") or {"schedulerName": answer["message"]})
