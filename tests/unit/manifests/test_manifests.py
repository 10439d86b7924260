"""What must hold for the manifests wherever they are applied."""

import ast
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from extender.settings import ExtenderSettings
from k40s import annotations
from k40s.runtime.certificate_directory import identities
from localcluster.binaries import kubernetes_version
from localcluster.paths import cache_root

ROOT = Path(__file__).parents[3]
MANIFESTS = ROOT / "manifests"
BASE = MANIFESTS / "base"
EXAMPLES = MANIFESTS / "examples"
WORKLOADS = ["k40s-extender", "k40s-scheduler", "malacoda", "rubicante"]


@cache
def objects(directory: Path = BASE) -> list[dict[str, Any]]:
    resources = yaml.safe_load((directory / "kustomization.yaml").read_text())["resources"]
    return [
        document
        for resource in resources
        for document in yaml.safe_load_all((directory / resource).read_text())
    ]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [item for item in objects() if item["kind"] in kinds]


def pod_of(name: str) -> dict[str, Any]:
    (workload,) = (
        item for item in of_kind("Deployment", "DaemonSet") if item["metadata"]["name"] == name
    )
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def scheduler_config() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((BASE / "scheduler-config.yaml").read_text())
    return config


def test_the_kustomization_names_every_file() -> None:
    named = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]

    files = {file.name for file in BASE.glob("*.yaml")}
    assert files == {*named, "kustomization.yaml", "scheduler-config.yaml"}


def test_there_is_no_secret_in_the_manifests() -> None:
    assert of_kind("Secret") == []
    for file in MANIFESTS.rglob("*"):
        assert not file.is_file() or "PRIVATE KEY" not in file.read_text()


def test_everything_is_in_our_namespace() -> None:
    cluster_wide = {
        "Namespace",
        "ClusterRole",
        "ClusterRoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }

    namespaces = {
        item["metadata"].get("namespace") for item in objects() if item["kind"] not in cluster_wide
    }

    assert namespaces == {"k40s-system"}


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    for role in of_kind("Role", "ClusterRole"):
        for rule in role["rules"]:
            yield role["metadata"]["name"], rule


def test_no_right_is_a_wildcard() -> None:
    for name, rule in rules():
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], name


def test_nobody_reads_secrets_or_writes_pods() -> None:
    for name, rule in rules():
        assert "secrets" not in rule["resources"], name
        if "pods" in rule["resources"]:
            assert set(rule["verbs"]) <= {"get", "list", "watch"}, name


def test_events_are_written_by_rubicante_alone_and_read_by_nobody() -> None:
    found = [(name, rule["verbs"]) for name, rule in rules() if "events" in rule["resources"]]

    assert found == [("k40s-rubicante", ["create"])]


def test_only_the_extender_binds() -> None:
    assert [name for name, rule in rules() if "pods/binding" in rule["resources"]] == [
        "k40s-extender"
    ]


def test_every_account_that_pods_use_exists_and_has_rights() -> None:
    accounts = {item["metadata"]["name"] for item in of_kind("ServiceAccount")}
    granted = {
        subject["name"]
        for binding in of_kind("RoleBinding", "ClusterRoleBinding")
        for subject in binding["subjects"]
    }

    assert accounts == granted == {pod_of(name)["serviceAccountName"] for name in WORKLOADS}


def test_every_binding_names_a_role_that_exists() -> None:
    roles = {(item["kind"], item["metadata"]["name"]) for item in of_kind("Role", "ClusterRole")}

    for binding in of_kind("RoleBinding", "ClusterRoleBinding"):
        reference = binding["roleRef"]
        known = (reference["kind"], reference["name"]) in roles
        assert known or reference["name"].startswith("system:")


def test_the_scheduler_trusts_our_authority_alone_and_shows_who_it_is() -> None:
    (extender,) = scheduler_config()["extenders"]

    assert extender["enableHTTPS"] is True
    assert set(extender["tlsConfig"]) == {"serverName", "caFile", "certFile", "keyFile"}


def test_the_scheduler_calls_a_name_that_the_extenders_certificate_carries() -> None:
    (extender,) = scheduler_config()["extenders"]
    name = extender["tlsConfig"]["serverName"]

    assert name in identities("k40s-system")["k40s-extender-tls"].dns_names
    assert extender["urlPrefix"] == f"https://{name}:{ExtenderSettings().port}/scheduler"


def test_no_pod_of_the_scheduler_slips_past_the_extender() -> None:
    (extender,) = scheduler_config()["extenders"]

    assert extender["ignorable"] is False
    assert "managedResources" not in extender
    assert scheduler_config()["percentageOfNodesToScore"] == 100


def test_the_extender_finishes_a_bind_before_the_scheduler_gives_up() -> None:
    settings = ExtenderSettings()

    assert scheduler_config()["extenders"][0]["httpTimeout"] == "2s"
    assert settings.reserve_timeout + settings.bind_timeout < 2_000_000_000


def test_the_scheduler_may_take_the_lock_that_its_configuration_names() -> None:
    lock = scheduler_config()["leaderElection"]["resourceName"]

    allowed = [rule.get("resourceNames") for name, rule in rules() if name == "k40s-scheduler"]

    assert [lock] in allowed
    generated = yaml.safe_load((BASE / "kustomization.yaml").read_text())["configMapGenerator"]
    assert lock not in [one["name"] for one in generated]  # kustomize would rename it in the Role


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_process_is_confined(name: str) -> None:
    pod = pod_of(name)
    (container,) = pod["containers"]
    context = container["securityContext"]

    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"]["drop"] == ["ALL"]
    assert not context.get("privileged", False)
    assert not pod.get("hostNetwork", False)


@pytest.mark.parametrize("name", WORKLOADS)
def test_only_rubicante_is_root_and_sees_other_processes(name: str) -> None:
    pod = pod_of(name)
    added = pod["containers"][0]["securityContext"]["capabilities"].get("add", [])

    if name == "rubicante":
        assert (pod["securityContext"]["runAsUser"], pod["hostPID"]) == (0, True)
        assert set(added) == {"SYS_NICE", "DAC_OVERRIDE"}
    else:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert (pod.get("hostPID", False), added) == (False, [])


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_process_is_probed_and_has_its_share(name: str) -> None:
    (container,) = pod_of(name)["containers"]

    assert {"livenessProbe", "readinessProbe"} <= set(container)
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "cpu" not in container["resources"].get("limits", {})  # throttling delays a decision


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_secret_that_is_mounted_is_one_that_we_issue(name: str) -> None:
    mounted = [
        volume["secret"]["secretName"] for volume in pod_of(name)["volumes"] if "secret" in volume
    ]

    assert set(mounted) <= set(identities("k40s-system"))


@pytest.mark.parametrize("name", WORKLOADS)
def test_volumes_and_mounts_fit(name: str) -> None:
    pod = pod_of(name)
    mounts = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}

    assert mounts == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", ["malacoda", "rubicante"])
def test_daemons_run_whatever_happens_to_the_node(name: str) -> None:
    pod = pod_of(name)

    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["tolerations"] == [{"operator": "Exists"}]


def test_every_policy_denies_and_fails_closed() -> None:
    policies = {item["metadata"]["name"]: item for item in of_kind("ValidatingAdmissionPolicy")}
    bound = {
        item["spec"]["policyName"]: item["spec"]["validationActions"]
        for item in of_kind("ValidatingAdmissionPolicyBinding")
    }

    assert set(policies) == {"k40s-nodes", "k40s-pods", "k40s-bindings", "k40s-leases"}
    assert bound == {name: ["Deny"] for name in policies}
    assert {policy["spec"]["failurePolicy"] for policy in policies.values()} == {"Fail"}


@pytest.mark.parametrize(
    ("file", "keys"),
    [
        (
            "admission-nodes.yaml",
            [
                annotations.ASSURANCE_KEY,
                annotations.ASSURANCE_CLASS_LABEL,
                annotations.CPU_STATE_KEY,
                annotations.REAL_TIME_LABEL,
            ],
        ),
        (
            "admission-pods.yaml",
            [annotations.CRITICALITY_KEY, annotations.TASKS_KEY, annotations.ENFORCEMENT_KEY],
        ),
    ],
)
def test_the_policies_guard_the_keys_that_the_code_uses(file: str, keys: list[str]) -> None:
    text = (BASE / file).read_text()

    assert [key for key in keys if f"'{key}'" not in text] == []
    assert annotations.ALLOCATION_KEY.startswith("status.k40s.io/")


def examples() -> list[dict[str, Any]]:
    return objects(EXAMPLES)


def test_every_example_is_a_valid_workload() -> None:
    criticalities = []
    for pod in examples():
        meta, spec = pod["metadata"], pod["spec"]
        workload = annotations.read_workload(
            labels=meta.get("labels", {}),
            annotations=meta["annotations"],
            containers=[container["name"] for container in spec["containers"]],
        )
        criticalities.append(workload.criticality.name)
        assert spec["schedulerName"] == "k40s-scheduler"
        named = [task.name for task in workload.tasks]
        assert not named or spec["containers"][0]["command"][2] in named

    assert sorted(criticalities) == ["HI", "LOW", "NO"]


def test_the_examples_program_needs_nothing_but_python() -> None:
    tree = ast.parse((EXAMPLES / "periodic.py").read_text())

    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {"os", "pathlib", "sys", "time"}


def test_the_lock_files_hold_hashes_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-runtime.lock"):
        text = (ROOT / name).read_text()
        assert "http" not in text.replace("aiohttp", "")
        assert "--hash=sha256:" in text


def test_the_image_has_what_the_lock_of_all_tools_has() -> None:
    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.rstrip("\\ ").split(" ;")[0] for line in lines if "==" in line[:60]}

    assert pins("requirements-runtime.lock") <= pins("requirements.lock")


def kubectl() -> str | None:
    built = cache_root(os.environ) / "kubernetes" / kubernetes_version() / "kubectl"
    return str(built) if built.exists() else shutil.which("kubectl")


@pytest.mark.skipif(kubectl() is None, reason="kubectl has not been built yet")
@pytest.mark.parametrize(
    "overlay",
    ["base", "overlays/local", "overlays/local-guest", "examples", "overlays/local-examples"],
)
def test_kustomize_builds(overlay: str) -> None:
    result = subprocess.run(
        [str(kubectl()), "kustomize", str(MANIFESTS / overlay)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    built = list(yaml.safe_load_all(result.stdout))
    assert [item["kind"] for item in built if item["kind"] == "Secret"] == []
    if overlay == "overlays/local":
        pods = [
            item["spec"]["template"]["spec"]
            for item in built
            if item["kind"] in ("Deployment", "DaemonSet")
        ]
        assert {pod["containers"][0]["imagePullPolicy"] for pod in pods} == {"Never"}


@pytest.mark.skipif(kubectl() is None, reason="kubectl has not been built yet")
def test_components_add_to_rubicante_what_they_say(tmp_path: Path) -> None:
    places = {name: os.path.relpath(MANIFESTS / name, tmp_path) for name in ("base", "components")}
    components = [f"{places['components']}/{name}" for name in ("debugfs", "partitions")]
    kustomization = {"resources": [places["base"]], "components": components}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    result = subprocess.run(
        [str(kubectl()), "kustomize", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    (pod,) = (
        item["spec"]["template"]["spec"]
        for item in yaml.safe_load_all(result.stdout)
        if item["kind"] == "DaemonSet" and item["metadata"]["name"] == "rubicante"
    )
    container = pod["containers"][0]
    volumes = {volume["name"]: volume.get("hostPath", {}).get("path") for volume in pod["volumes"]}
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "debugfs")
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert volumes["debugfs"] == "/sys/kernel/debug"
    assert mount["readOnly"]
    assert environment["K40S_SCHEDULER_DEBUG_PATH"] == f"{mount['mountPath']}/sched"
    added = container["securityContext"]["capabilities"]["add"]
    assert added == ["SYS_NICE", "DAC_OVERRIDE", "SYS_ADMIN"]
