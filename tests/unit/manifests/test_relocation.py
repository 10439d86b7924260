"""The base under other names, in another namespace, with other labels: every reference follows."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.settings import ControllerSettings
from daemons.malacoda.actuator.settings import ActuatorSettings
from daemons.malacoda.settings import Settings as MalacodaSettings
from daemons.rubicante.settings import Settings as RubicanteSettings
from daemons.scarmiglione.settings import Settings as ScarmiglioneSettings
from extender.scheduler_config import fill
from extender.settings import ExtenderSettings
from k40s.pki.directory import identities
from k40s.runtime.settings import read_settings
from localcluster.host.paths import cache_root
from localcluster.images.binaries import kubernetes_version
from webhook.settings import WebhookSettings

MANIFESTS = Path(__file__).parents[3] / "manifests"
CACHED = cache_root(os.environ) / "kubernetes" / kubernetes_version() / "kubectl"
KUBECTL = str(CACHED) if CACHED.exists() else shutil.which("kubectl")

pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl has not been built yet")

Object = dict[str, Any]
LABELS = {"pairs": {"team": "line-1"}, "includeSelectors": True}
CHANGES: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "namespace": {"namespace": "plant-a"},
    "prefix": {"namePrefix": "plant-a-"},
    "suffix": {"nameSuffix": "-eu"},
    "all names": {"namespace": "plant-a", "namePrefix": "a-", "nameSuffix": "-eu"},
    "selectors": {"labels": [LABELS]},
    "common labels": {"commonLabels": {"app.kubernetes.io/instance": "line-1"}},
    "image": {"images": [{"name": "k40s", "newName": "registry.example/k40s", "newTag": "9"}]},
    "all": {
        "namespace": "plant-a",
        "namePrefix": "a-",
        "nameSuffix": "-eu",
        "labels": [LABELS],
        "images": [{"name": "k40s", "newName": "registry.example/k40s", "newTag": "9"}],
    },
}
SOURCES = ["base", "overlays/local", "overlays/local-guest", "overlays/local-slow", "examples"]
CLUSTER_WIDE = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("overlays")


def build(place: Path, source: str, change: str) -> list[Object]:
    return _build(place, source, change)


@cache
def _build(place: Path, source: str, change: str) -> list[Object]:
    overlay = place / f"{source}-{change}".replace("/", "-").replace(" ", "-")
    overlay.mkdir()
    kustomization = {"resources": [os.path.relpath(MANIFESTS / source, overlay)]}
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization | CHANGES[change]))
    return render(overlay)


def render(directory: Path) -> list[Object]:
    words = [str(KUBECTL), "kustomize", str(directory)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
    return list(yaml.safe_load_all(done.stdout))


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


def names(objects: list[Object], *kinds: str) -> set[str]:
    return {one["metadata"]["name"] for one in of_kind(objects, *kinds)}


def workloads(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    for one in of_kind(objects, "Deployment", "DaemonSet"):
        yield one["metadata"]["name"], one["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    return [*pod["containers"], *pod.get("initContainers", [])]


def texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from (str(key), *texts(one))
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    else:
        yield str(value)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("change", [name for name, one in CHANGES.items() if "namespace" in one])
def test_no_string_names_the_namespace_that_is_left(place: Path, source: str, change: str) -> None:
    objects = build(place, source, change)

    left = [text for one in objects for text in texts(one) if "k40s-system" in text]
    namespaces = {one["metadata"].get("namespace") for one in objects if one["kind"] != "Namespace"}
    assert left == []
    assert namespaces - {None} == {"plant-a"}
    assert names(objects, "Namespace") <= {"plant-a"}


@pytest.mark.parametrize("change", CHANGES)
def test_every_policy_is_bound(place: Path, change: str) -> None:
    objects = build(place, "base", change)

    bound = {
        one["spec"]["policyName"] for one in of_kind(objects, "ValidatingAdmissionPolicyBinding")
    }
    assert bound == names(objects, "ValidatingAdmissionPolicy")
    assert len(bound) == 11


@pytest.mark.parametrize("change", CHANGES)
def test_every_right_reaches_an_account_that_exists_by_a_role_that_exists(
    place: Path, change: str
) -> None:
    objects = build(place, "base", change)
    accounts = {
        (one["metadata"]["name"], one["metadata"]["namespace"])
        for one in of_kind(objects, "ServiceAccount")
    }
    used = {pod["spec"]["serviceAccountName"] for _, pod in workloads(objects)}

    assert {name for name, _ in accounts} == used
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        role = binding["roleRef"]
        known = role["name"] in names(objects, role["kind"])
        assert known or role["name"].startswith("system:")
        for subject in binding["subjects"]:
            assert (subject["name"], subject["namespace"]) in accounts


@pytest.mark.parametrize("source", ["base", "overlays/local", "examples"])
@pytest.mark.parametrize("change", CHANGES)
def test_every_volume_is_there_and_secrets_are_those_that_are_issued(
    place: Path, source: str, change: str
) -> None:
    objects = build(place, source, change)
    pods = [pod["spec"] for _, pod in workloads(objects)]
    pods += [one["spec"] for one in of_kind(objects, "Pod")]

    volumes = [volume for pod in pods for volume in pod["volumes"]]
    found = [one["configMap"] for one in volumes if "configMap" in one]
    maps = {one["name"] for one in found if not one.get("optional")}
    secrets = {one["secret"]["secretName"] for one in volumes if "secret" in one}
    assert maps == names(objects, "ConfigMap")
    assert secrets <= set(identities("plant-a"))


@pytest.mark.parametrize("change", CHANGES)
def test_every_selector_selects_the_pods_of_its_process_and_no_others(
    place: Path, change: str
) -> None:
    objects = build(place, "base", change)
    labels = {name: pod["metadata"]["labels"] for name, pod in workloads(objects)}

    def selected(selector: Mapping[str, str]) -> list[str]:
        return [name for name, has in labels.items() if selector.items() <= has.items()]

    for one in of_kind(objects, "Deployment", "DaemonSet", "PodDisruptionBudget"):
        assert selected(one["spec"]["selector"]["matchLabels"]) == [one["metadata"]["name"]]
    for one in of_kind(objects, "Service"):
        assert selected(one["spec"]["selector"]) == [one["metadata"]["name"]]
    for one in of_kind(objects, "NetworkPolicy"):
        assert selected(one["spec"]["podSelector"]["matchLabels"]) == [one["metadata"]["name"]]
        for rule in one["spec"]["ingress"]:
            for peer in rule.get("from", []):
                assert len(selected(peer["podSelector"]["matchLabels"])) == 1


def service_of(objects: list[Object], process: str) -> Object:
    (found,) = (one for one in of_kind(objects, "Service") if process in one["metadata"]["name"])
    return found


def environment(container: Object, namespace: str) -> dict[str, str]:
    """What kubelet would give it, as far as it depends on where k40s is installed."""
    fields = {
        "metadata.uid": "11111111-1111-4111-8111-111111111111",
        "metadata.namespace": namespace,
        "spec.nodeName": "edge-1",
        "status.podIP": "10.0.0.1",
        "metadata.name": "a-pod",
    }
    return {
        one["name"]: one["value"]
        if "value" in one
        else fields[one["valueFrom"]["fieldRef"]["fieldPath"]]
        for one in container.get("env", [])
    }


@pytest.mark.parametrize("source", ["base", "overlays/local"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_scheduler_finds_extender_lock_and_a_certificate_that_fits(
    place: Path, source: str, change: str
) -> None:
    objects = build(place, source, change)
    service = service_of(objects, "extender")
    namespace = service["metadata"]["namespace"]
    (pod,) = (pod["spec"] for name, pod in workloads(objects) if "scheduler" in name)
    (program,) = pod["initContainers"]
    (template,) = (one["data"]["scheduler-config.yaml"] for one in of_kind(objects, "ConfigMap"))

    config = yaml.safe_load(fill(template, environment(program, namespace)))

    (extender,) = config["extenders"]
    host = service["metadata"]["name"]
    assert extender["urlPrefix"] == f"https://{host}:{ExtenderSettings().port}/scheduler"
    names_signed = identities(namespace)["k40s-extender-tls"].dns_names
    assert extender["tlsConfig"]["serverName"] in names_signed
    assert config["leaderElection"]["resourceNamespace"] == namespace
    allowed = [
        rule.get("resourceNames")
        for role in of_kind(objects, "Role")
        for rule in role["rules"]
        if role["metadata"]["namespace"] == namespace
    ]
    assert [config["leaderElection"]["resourceName"]] in allowed
    callers = [
        pod["spec"] for name, pod in workloads(objects) if re.search("scheduler|controller", name)
    ]
    assert len(callers) == 2
    for caller in callers:
        aliases = caller.get("hostAliases", [])
        assert source == "base" or [one["hostnames"] for one in aliases] == [[host]]
    assert (
        program["image"]
        == next(p["spec"] for n, p in workloads(objects) if "extender" in n)["containers"][0][
            "image"
        ]
    )


@pytest.mark.parametrize("change", CHANGES)
def test_every_process_works_in_the_namespace_that_it_is_in(place: Path, change: str) -> None:
    objects = build(place, "base", change)
    found = {}
    for name, template in workloads(objects):
        container, *others = template["spec"]["containers"]
        env = environment(container, "plant-x")
        for one in others:
            read_settings(ActuatorSettings, environment(one, "plant-x"))
        if "extender" in name:
            found["extender"] = read_settings(ExtenderSettings, env).namespace
        if "controller" in name:
            settings = read_settings(ControllerSettings, env)
            found["controller"] = settings.namespace
            service = service_of(objects, "extender")
            assert settings.extender_service == service["metadata"]["name"]
            assert settings.identity == "a-pod"
        if "webhook" in name:
            read = read_settings(WebhookSettings, env)
            assert names(objects, "PriorityClass") == {
                read.high_priority_class,
                read.low_priority_class,
            }
        if "malacoda" in name:
            found["malacoda"] = read_settings(MalacodaSettings, env).lease_namespace
        if "rubicante" in name:
            env["K40S_CPUS"] = "1"  # from the node's own file
            found["rubicante"] = read_settings(RubicanteSettings, env).lease_namespace
        if "scarmiglione" in name:
            found["scarmiglione"] = read_settings(ScarmiglioneSettings, env).lease_namespace
        if "give-back" in name:
            env |= {"K40S_CPUS": "1", "K40S_POD_IP": "10.0.0.1"}  # it serves nobody
            found["give-back"] = read_settings(RubicanteSettings, env).lease_namespace

    processes = ("extender", "controller", "malacoda", "rubicante", "scarmiglione", "give-back")
    assert found == dict.fromkeys(processes, "plant-x")


@pytest.mark.parametrize("source", ["base", "overlays/local"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_webhooks_configurations_follow_its_names(
    place: Path, source: str, change: str
) -> None:
    objects = build(place, source, change)
    service = service_of(objects, "webhook")["metadata"]
    (container,) = next(p for n, p in workloads(objects) if "webhook" in n)["spec"]["containers"]
    settings = read_settings(WebhookSettings, environment(container, "x"))
    kinds = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    (role,) = (
        one for one in of_kind(objects, "ClusterRole") if "webhook" in one["metadata"]["name"]
    )

    named = [settings.validating_configuration, settings.mutating_configuration]
    assert [names(objects, kind) for kind in kinds] == [{name} for name in named]
    writing = [rule for rule in role["rules"] if "patch" in rule["verbs"]]
    assert [rule["resourceNames"] for rule in writing] == [[name] for name in named]
    for hook in (hook for one in of_kind(objects, *kinds) for hook in one["webhooks"]):
        called = hook["clientConfig"]["service"]
        assert (called["name"], called["namespace"]) == (service["name"], service["namespace"])
        (selection,) = hook["namespaceSelector"]["matchExpressions"]
        assert selection["values"] == ["kube-system", service["namespace"]]


def test_the_extender_asks_for_the_name_that_rubicantes_certificate_carries() -> None:
    for namespace in ("k40s-system", "plant-a"):
        signed = identities(namespace)["k40s-rubicante-tls"].dns_names
        assert ExtenderSettings().rubicante_name in signed


def test_no_policy_names_an_account_or_a_namespace(place: Path) -> None:
    policies = of_kind(build(place, "base", "as shipped"), *CLUSTER_WIDE)

    named = [t for one in policies for t in texts(one) if re.search(r"serviceaccounts?:\w", t)]
    assert named == []


def test_components_find_what_they_change_under_other_names(place: Path) -> None:
    inner, outer = place / "inner", place / "outer"
    for directory in (inner, outer):
        directory.mkdir()
    relative = os.path.relpath
    base = {"resources": [relative(MANIFESTS / "base", inner)], **CHANGES["all names"]}
    (inner / "kustomization.yaml").write_text(yaml.safe_dump(base))
    added = [relative(MANIFESTS / "components" / one, outer) for one in ("debugfs", "partitions")]
    upper = {"resources": ["../inner"], "components": added}
    (outer / "kustomization.yaml").write_text(yaml.safe_dump(upper))

    objects = render(outer)

    (pod,) = (pod["spec"] for name, pod in workloads(objects) if "rubicante" in name)
    capabilities = pod["containers"][0]["securityContext"]["capabilities"]["add"]
    assert "SYS_ADMIN" in capabilities
    assert "debugfs" in [volume["name"] for volume in pod["volumes"]]


def test_the_policy_for_defaults_replaces_the_webhook_of_that_name(place: Path) -> None:
    overlay = place / "with-defaults-policy"
    overlay.mkdir()
    base, component = (
        os.path.relpath(MANIFESTS / one, overlay) for one in ("base", "components/defaults-policy")
    )
    text = yaml.safe_dump({"resources": [base], "components": [component], "nameSuffix": "-eu"})
    (overlay / "kustomization.yaml").write_text(text)

    objects = render(overlay)

    (binding,) = of_kind(objects, "MutatingAdmissionPolicyBinding")
    assert names(objects, "MutatingWebhookConfiguration") == set()
    assert names(objects, "MutatingAdmissionPolicy") == {binding["spec"]["policyName"]}
    assert len(of_kind(objects, "ValidatingWebhookConfiguration")) == 1


def test_secrets_that_are_applied_together_with_the_rest_are_found(place: Path) -> None:
    overlay = place / "with-secrets"
    overlay.mkdir()
    secrets = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "plant-a"}}
        for name in identities("plant-a")
    ]
    (overlay / "secrets.yaml").write_text(yaml.safe_dump_all(secrets))
    resources = [os.path.relpath(MANIFESTS / "base", overlay), "secrets.yaml"]
    text = yaml.safe_dump({"resources": resources, **CHANGES["all names"]})
    (overlay / "kustomization.yaml").write_text(text)

    objects = render(overlay)

    volumes = [volume for _, pod in workloads(objects) for volume in pod["spec"]["volumes"]]
    mounted = {one["secret"]["secretName"] for one in volumes if "secret" in one}
    assert mounted == names(objects, "Secret")
