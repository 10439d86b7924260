"""What must hold for the manifests wherever they are applied."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.extender_client import PATH, PLAN_PATH
from controller.migration.method import RELEASED
from controller.process import LEASE_NAME
from controller.settings import ControllerSettings
from daemons.malacoda.actuator.mode import CulpritMode
from daemons.malacoda.actuator.settings import ActuatorSettings
from daemons.malacoda.settings import Settings
from extender.scheduler_config import fill
from extender.settings import ExtenderSettings
from extender.verbs.dry_run import DryRun
from extender.verbs.preemption_plan import PreemptionPlan
from insight.settings import InsightSettings
from k40s import annotations
from k40s.kube.objects.pod_templates import POD_OWNERS
from k40s.kube.writing.pod_control import TEMPLATE_HASH_LABEL
from k40s.pki.directory import identities
from localcluster.host.paths import cache_root
from localcluster.images.binaries import kubernetes_version
from webhook.settings import WebhookSettings

ROOT = Path(__file__).parents[3]
MANIFESTS = ROOT / "manifests"
BASE = MANIFESTS / "base"
EXAMPLES = MANIFESTS / "examples"
WORKLOADS = [
    *("k40s-extender", "k40s-scheduler", "k40s-controller", "k40s-webhook", "k40s-insight"),
    *("malacoda", "rubicante", "scarmiglione", "k40s-give-back"),
]


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
    """As the init container of the scheduler's pod writes it in our own namespace."""
    template = (BASE / "scheduler-config.yaml").read_text()
    variables = {"K40S_NAMESPACE": "k40s-system", "K40S_EXTENDER_SERVICE": "k40s-extender"}
    config: dict[str, Any] = yaml.safe_load(fill(template, variables))
    return config


def test_the_kustomization_names_every_file() -> None:
    named = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]

    files = {file.name for file in BASE.glob("*.yaml")}
    assert files == {
        *named,
        "kustomization.yaml",
        "scheduler-config.yaml",
        "references.yaml",
    }


def test_there_is_no_secret_in_the_manifests() -> None:
    assert of_kind("Secret") == []
    for file in MANIFESTS.rglob("*"):
        assert not file.is_file() or "PRIVATE KEY" not in file.read_text()


def test_everything_is_in_our_namespace() -> None:
    cluster_wide = {
        "Namespace",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "PriorityClass",
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


def test_nobody_reads_secrets_and_two_write_what_the_policies_allow_of_pods() -> None:
    for name, rule in rules():
        assert "secrets" not in rule["resources"], name
        if "pods" in rule["resources"]:
            allowed = {"patch"} if name == "k40s-controller" else set()
            assert set(rule["verbs"]) <= {"get", "list", "watch"} | allowed, name
        if "pods/eviction" in rule["resources"]:
            assert (name, rule["verbs"]) == ("k40s-controller", ["create"])
        if "pods/status" in rule["resources"]:
            assert name in ("k40s-rubicante", "k40s-give-back")
            assert rule["verbs"] == ["patch"]


def test_what_the_policies_know_a_process_by_is_given_to_it_alone_and_one_thing_to_nobody() -> None:
    given = {
        (resource, verb): name
        for name, rule in rules()
        if rule["apiGroups"] == ["k40s.io"]
        for resource in rule["resources"]
        if resource.split("/")[0] not in ("networks", "tenants")  # these are served
        for verb in rule["verbs"]
    }
    checked = {
        (resource, verb)
        for policy in of_kind("ValidatingAdmissionPolicy")
        for resource, verb in re.findall(
            r"authorizer.group\('k40s.io'\).resource\('([a-z-]+)'\).check\('([a-z]+)'\)",
            str(policy),
        )
    }

    assert given == {
        ("allocations", "grant"): "k40s-extender",
        ("assurance", "publish"): "k40s-malacoda",
        ("cpu-state", "publish"): "k40s-rubicante",
        ("cpu-state", "withdraw"): "k40s-give-back",
        ("node-labels", "withdraw"): "k40s-extender",
        ("migrations", "record"): "k40s-controller",
        ("preemptions", "record"): "k40s-controller",
        ("placement-changes", "announce"): "k40s-controller",
        ("network-state", "publish"): "k40s-scarmiglione",
    }
    nobodys = {("everything", verb) for verb in ("grant", "publish", "record", "withdraw")}
    assert checked == {*given, *nobodys}


def test_events_are_written_by_extender_and_daemons_and_read_by_insight() -> None:
    found = [(name, rule["verbs"]) for name, rule in rules() if "events" in rule["resources"]]

    assert found == [
        ("k40s-extender", ["create"]),
        ("k40s-malacoda", ["create"]),
        ("k40s-rubicante", ["create"]),
        ("k40s-scarmiglione", ["create"]),
        ("k40s-controller", ["create"]),
        ("k40s-insight", ["list", "watch"]),
        ("k40s-give-back", ["create"]),
    ]


def test_insight_writes_nothing_and_asks_two_questions() -> None:
    ours = [rule for name, rule in rules() if name == "k40s-insight"]

    writes = {
        (group, resource, verb)
        for rule in ours
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if verb not in ("get", "list", "watch")
    }
    assert writes == {
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
    }
    assert {resource for rule in ours for resource in rule["resources"]}.isdisjoint(
        {"secrets", "configmaps", "pods/exec", "pods/log", "pods/portforward", "pods/proxy"}
    )


def test_insight_calls_the_extender_by_a_name_that_it_knows_and_serves_its_own() -> None:
    issued = identities("k40s-system")
    (container,) = pod_of("k40s-insight")["containers"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    (service,) = (one for one in of_kind("Service") if one["metadata"]["name"] == "k40s-insight")

    assert variables["K40S_EXTENDER_SERVICE"] in issued["k40s-extender-tls"].dns_names
    assert InsightSettings().extender_name in issued["k40s-extender-tls"].dns_names
    assert issued["k40s-insight-client-tls"].common_name == "k40s-insight"
    assert not issued["k40s-insight-client-tls"].is_server
    names = issued["k40s-insight-tls"].dns_names
    assert {"k40s-insight.k40s-system.svc", "localhost"} <= set(names)
    assert service["spec"]["ports"] == [{"name": "api", "port": 443, "targetPort": "api"}]


def test_two_write_the_status_of_networks_and_nobody_their_spec() -> None:
    found = {
        (name, resource, verb)
        for name, rule in rules()
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if resource.startswith("networks") and verb not in ("get", "list", "watch")
    }

    assert found == {
        (name, "networks/status", verb)
        for name in ("k40s-extender", "k40s-controller")
        for verb in ("update", "patch")
    }


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

    assert scheduler_config()["extenders"][0]["httpTimeout"] == "4s"
    look = settings.bind_timeout // 2  # at a pod that neither filter nor the watch has seen
    last = 200_000_000  # a read and a write that begin just before the deadline
    networks = settings.network_timeout + last + settings.station_timeout
    tenant = settings.tenant_timeout + last
    whole = look + tenant + settings.reserve_timeout + networks + settings.bind_timeout
    assert whole < 4_000_000_000


def test_the_controller_calls_by_a_name_that_the_extender_knows_and_takes_its_own_lock() -> None:
    (identity,) = (
        identities("k40s-system")[volume["secret"]["secretName"]]
        for volume in pod_of("k40s-controller")["volumes"]
        if "secret" in volume
    )

    ours = [rule for name, rule in rules() if name == "k40s-controller"]

    assert identity.common_name == ExtenderSettings().controller_name
    assert ControllerSettings().extender_name in (
        identities("k40s-system")["k40s-extender-tls"].dns_names
    )
    assert ControllerSettings().extender_port == ExtenderSettings().port
    assert ControllerSettings().policy.thresholds == ExtenderSettings().thresholds
    assert [rule["resourceNames"] for rule in ours if rule["verbs"] == ["patch"]] == [[LEASE_NAME]]
    assert f"/scheduler/{DryRun.name}" == PATH
    assert f"/scheduler/{PreemptionPlan.name}" == PLAN_PATH
    assert ControllerSettings().scheduler_name == ExtenderSettings().scheduler_name


def test_the_scheduler_may_take_the_lock_that_its_configuration_names() -> None:
    lock = scheduler_config()["leaderElection"]["resourceName"]

    allowed = [rule.get("resourceNames") for name, rule in rules() if name == "k40s-scheduler"]

    assert [lock] in allowed
    generated = yaml.safe_load((BASE / "kustomization.yaml").read_text())["configMapGenerator"]
    assert lock not in [one["name"] for one in generated]  # kustomize would rename it in the Role


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_process_is_confined(name: str) -> None:
    pod = pod_of(name)

    assert len(pod["containers"]) == (2 if name == "malacoda" else 1)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in (*pod["containers"], *pod.get("initContainers", [])):
        context = one["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert not context.get("privileged", False)
    assert not pod.get("hostNetwork", False)


@pytest.mark.parametrize("name", WORKLOADS)
def test_only_rubicante_and_what_undoes_its_work_are_root_and_see_other_processes(
    name: str,
) -> None:
    pod = pod_of(name)
    added = pod["containers"][0]["securityContext"]["capabilities"].get("add", [])

    if name in ("rubicante", "k40s-give-back"):
        assert (pod["securityContext"]["runAsUser"], pod["hostPID"]) == (0, True)
        assert set(added) == {"SYS_NICE", "DAC_OVERRIDE"}
    elif name == "scarmiglione":  # root's directory, and nothing else of root
        assert pod["securityContext"]["runAsUser"] == 0
        assert (pod.get("hostPID", False), added) == (False, [])
    else:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert (pod.get("hostPID", False), added) == (False, [])
        root = [one["name"] for one in pod["containers"] if "runAsUser" in one["securityContext"]]
        assert root == (["actuator"] if name == "malacoda" else [])


def test_the_actuator_is_root_without_a_capability_and_the_monitor_is_not() -> None:
    pod = pod_of("malacoda")
    monitor, actuator = pod["containers"]

    assert monitor["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert actuator["securityContext"] == {
        **monitor["securityContext"],
        "runAsNonRoot": False,
        "runAsUser": 0,
        "runAsGroup": pod["securityContext"]["runAsGroup"],
    }
    assert ActuatorSettings().actuator_peer == pod["securityContext"]["runAsUser"]


def test_the_actuator_writes_cgroups_its_holds_and_its_socket_and_has_no_token() -> None:
    monitor, actuator = pod_of("malacoda")["containers"]
    writable = [
        {mount["name"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
        for one in (monitor, actuator)
    ]
    mounts = {mount["mountPath"]: mount["name"] for mount in actuator["volumeMounts"]}

    assert writable == [set(), {"cgroup", "actuator", "holds"}]
    assert mounts["/var/run/secrets/kubernetes.io/serviceaccount"] == "no-token"
    assert "proc" not in mounts.values()
    assert "ports" not in actuator


@pytest.mark.parametrize(("age", "code"), [(0, 0), (5, 0), (60, 1), (None, 1)])
def test_the_actuators_probe_tells_whether_it_turns(
    age: int | None, code: int, tmp_path: Path
) -> None:
    _, actuator = pod_of("malacoda")["containers"]
    socket = tmp_path / "actuator.sock"
    if age is not None:
        socket.touch()
        now = socket.stat().st_mtime
        os.utime(socket, (now - age, now - age))
    program, *words = actuator["livenessProbe"]["exec"]["command"]
    words[-1] = words[-1].replace(str(ActuatorSettings().actuator_socket), str(socket))
    assert str(socket) in words[-1]

    ended = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, timeout=600
    )

    assert (program, actuator["readinessProbe"]["exec"]) == (
        "python",
        actuator["livenessProbe"]["exec"],
    )
    assert ended.returncode == code
    assert "NameError" not in ended.stderr


def test_both_containers_of_malacoda_have_the_same_mode_and_see_the_same_cgroups() -> None:
    shown = [
        {
            one["name"]: one["value"]
            for one in container["env"]
            if one["name"] in ("K40S_CULPRIT", "K40S_CGROUP_PATH")
        }
        for container in pod_of("malacoda")["containers"]
    ]

    assert shown == [{"K40S_CULPRIT": "throttle", "K40S_CGROUP_PATH": "/host/cgroup"}] * 2
    assert Settings(node_name="x").culprit is CulpritMode.NAME
    assert ActuatorSettings().culprit is CulpritMode.NAME
    assert Settings(node_name="x").actuator_socket == ActuatorSettings().actuator_socket
    assert Settings(node_name="x").actuator_silence == ActuatorSettings().actuator_silence


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_process_is_probed_and_has_its_share(name: str) -> None:
    for container in pod_of(name)["containers"]:
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
    containers = [*pod["containers"], *pod.get("initContainers", [])]
    mounts = {mount["name"] for one in containers for mount in one["volumeMounts"]}

    assert mounts == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", ["malacoda", "rubicante", "scarmiglione", "k40s-give-back"])
def test_daemons_run_whatever_happens_to_the_node(name: str) -> None:
    pod = pod_of(name)

    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["tolerations"] == [{"operator": "Exists"}]


def test_a_node_that_is_given_back_runs_no_rubicante_and_only_then_what_gives_it_back() -> None:
    rubicante, give_back = (pod_of(name) for name in ("rubicante", "k40s-give-back"))
    chosen = [
        term
        for pod in (rubicante, give_back)
        for (terms,) in [
            pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
                "nodeSelectorTerms"
            ]
        ]
        for term in terms["matchExpressions"]
    ]

    assert chosen == [
        {"key": annotations.GIVE_BACK_LABEL, "operator": "NotIn", "values": ["true"]},
        {"key": annotations.GIVE_BACK_LABEL, "operator": "In", "values": ["true", "dry-run"]},
    ]


def test_what_gives_back_sees_the_node_as_rubicante_does() -> None:
    seen = []
    for name in ("rubicante", "k40s-give-back"):
        pod = pod_of(name)
        (container,) = pod["containers"]
        # What gives back serves no API, and counts no overruns.
        fixed = [
            one
            for one in container["env"]
            if "value" in one and one["name"] != "K40S_OVERRUNS_PATH"
        ]
        host = [
            volume
            for volume in pod["volumes"]
            if "hostPath" in volume and volume["name"] != "overruns"
        ]
        mounts = [
            one for one in container["volumeMounts"] if one["name"] not in ("tls", "overruns")
        ]
        seen.append((container["image"], fixed, host, mounts, container["securityContext"]))

    assert seen[0] == seen[1]


def test_every_policy_denies_and_fails_closed() -> None:
    policies = {item["metadata"]["name"]: item for item in of_kind("ValidatingAdmissionPolicy")}
    bound = {
        item["spec"]["policyName"]: item["spec"]["validationActions"]
        for item in of_kind("ValidatingAdmissionPolicyBinding")
    }

    assert set(policies) == {
        *("k40s-nodes", "k40s-pods", "k40s-bindings", "k40s-conditions", "k40s-leases"),
        *("k40s-give-back", "k40s-migration", "k40s-networks", "k40s-networks-in-use"),
        "k40s-priorities",
        "k40s-tenants",
    }
    assert bound == {name: ["Deny"] for name in policies}
    assert {policy["spec"]["failurePolicy"] for policy in policies.values()} == {"Fail"}


def hooks() -> list[dict[str, Any]]:
    documents = of_kind("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    return [hook for document in documents for hook in document["webhooks"]]


def test_the_webhooks_see_the_kinds_that_make_pods_and_never_their_own_namespace() -> None:
    seen = {
        (group, resource)
        for hook in hooks()
        for rule in hook["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    owners = {(version.rpartition("/")[0], plural) for version, plural in POD_OWNERS.values()}
    (excluded,) = {str(hook["namespaceSelector"]) for hook in hooks()}

    assert seen == {("", "pods"), *owners}
    assert "NotIn" in excluded
    assert "k40s-system" in excluded
    assert "kube-system" in excluded


def test_the_webhooks_fail_closed_and_only_for_objects_with_our_keys() -> None:
    for hook in hooks():
        assert hook["failurePolicy"] == "Fail"
        assert hook["sideEffects"] == "None"
        assert hook["timeoutSeconds"] <= 5
        assert "startsWith('k40s.io/')" in hook["matchConditions"][0]["expression"]


def test_the_api_server_calls_a_name_that_the_webhooks_certificate_carries_and_nobody_else() -> (
    None
):
    signed = identities("k40s-system")["k40s-webhook-tls"].dns_names
    (extender,) = scheduler_config()["extenders"]

    for hook in hooks():
        service = hook["clientConfig"]["service"]
        assert f"*.{service['namespace']}.svc" in signed
        assert service["port"] == WebhookSettings().port
    checked = {
        extender["tlsConfig"]["serverName"],
        ControllerSettings().extender_name,
        ExtenderSettings().rubicante_name,
        ExtenderSettings().scarmiglione_name,
    }
    assert not [name for name in checked if "." in name or name in signed]


def test_the_webhook_writes_its_own_configurations_and_nothing_else() -> None:
    ours = [rule for name, rule in rules() if name == "k40s-webhook"]

    writing = [rule for rule in ours if not {"get", "list", "watch"}.issuperset(rule["verbs"])]
    assert [(rule["resourceNames"], rule["verbs"]) for rule in writing] == [
        ([WebhookSettings().validating_configuration], ["get", "patch"]),
        ([WebhookSettings().mutating_configuration], ["get", "patch"]),
    ]


def test_hi_is_above_low_is_above_what_users_have_and_the_policy_knows_the_values() -> None:
    values = {one["metadata"]["name"]: one["value"] for one in of_kind("PriorityClass")}
    (policy,) = (
        one
        for one in of_kind("ValidatingAdmissionPolicy")
        if one["metadata"]["name"] == "k40s-priorities"
    )
    named = {int(value) for value in re.findall(r"[0-9]{4,}", str(policy["spec"]["validations"]))}

    settings = WebhookSettings()
    assert set(values) == {settings.high_priority_class, settings.low_priority_class}
    assert 0 < values["k40s-low"] < values["k40s-hi"] <= 1_000_000_000
    assert named == set(values.values())
    assert not any("globalDefault" in one for one in of_kind("PriorityClass"))


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
        ("admission-conditions.yaml", [annotations.ENFORCED_CONDITION]),
        ("admission-migration.yaml", [annotations.MIGRATION_KEY, TEMPLATE_HASH_LABEL, RELEASED]),
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
        gates = [gate["conditionType"] for gate in spec.get("readinessGates", [])]
        assert gates == [annotations.ENFORCED_CONDITION] * bool(named)

    assert sorted(criticalities) == ["HI", "LOW", "NO"]


@pytest.mark.parametrize("program", ["periodic.py", "batch.py"])
def test_the_examples_programs_need_nothing_but_python(program: str) -> None:
    tree = ast.parse((EXAMPLES / program).read_text())

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
    [
        *("base", "overlays/local", "overlays/local-guest", "overlays/local-slow"),
        *("examples", "overlays/local-examples"),
    ],
)
def test_kustomize_builds(overlay: str) -> None:
    result = subprocess.run(
        [str(kubectl()), "kustomize", str(MANIFESTS / overlay)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )

    built = list(yaml.safe_load_all(result.stdout))
    assert [item["kind"] for item in built if item["kind"] == "Secret"] == []
    if overlay == "overlays/local":
        pods = [
            item["spec"]["template"]["spec"]
            for item in built
            if item["kind"] in ("Deployment", "DaemonSet")
        ]
        policies = {one["imagePullPolicy"] for pod in pods for one in pod["containers"]}
        assert policies == {"Never"}


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
        timeout=600,
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


@pytest.mark.skipif(kubectl() is None, reason="kubectl has not been built yet")
def test_the_component_hrtick_lets_one_file_be_written_and_nothing_more(tmp_path: Path) -> None:
    base, component = (
        os.path.relpath(MANIFESTS / name, tmp_path) for name in ("base", "components/hrtick")
    )
    kustomization = {"resources": [base], "components": [component]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    result = subprocess.run(
        [str(kubectl()), "kustomize", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    for name in ("rubicante", "k40s-give-back"):
        (pod,) = (
            item["spec"]["template"]["spec"]
            for item in yaml.safe_load_all(result.stdout)
            if item["kind"] == "DaemonSet" and item["metadata"]["name"] == name
        )
        container = pod["containers"][0]
        environment = {one["name"]: one.get("value") for one in container["env"]}
        paths = {one["name"]: one.get("hostPath", {}).get("path", "") for one in pod["volumes"]}
        mounts = {
            one["mountPath"]: one
            for one in container["volumeMounts"]
            if paths[one["name"]].startswith("/sys/kernel/debug")
        }
        writable = [path for path, one in mounts.items() if not one.get("readOnly")]
        assert environment.get("K40S_HRTICK") == ("true" if name == "rubicante" else None)
        assert writable == [f"{environment['K40S_SCHEDULER_DEBUG_PATH']}/features"]
        added = container["securityContext"]["capabilities"]["add"]
        assert added == ["SYS_NICE", "DAC_OVERRIDE"]


@pytest.mark.skipif(kubectl() is None, reason="kubectl has not been built yet")
def test_monitoring_follows_an_installation_to_its_namespace(tmp_path: Path) -> None:
    parts = [f"components/monitoring/{name}" for name in ("boards", "operator", "annotations")]
    base, *components = (os.path.relpath(MANIFESTS / name, tmp_path) for name in ("base", *parts))
    whole = {
        "resources": [base],
        "components": components,
        "namespace": "plant-a",
        "namePrefix": "line1-",
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(whole))

    result = subprocess.run(
        [str(kubectl()), "kustomize", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )

    built = list(yaml.safe_load_all(result.stdout))
    boards = [one for one in built if one["metadata"].get("labels", {}).get("grafana_dashboard")]
    assert {name for one in boards for name in one["data"]} == {
        "fleet.json",
        "node.json",
        "pods.json",
    }
    kinds = ("PodMonitor", "PrometheusRule")
    added = [*boards, *(one for one in built if one["kind"] in kinds)]
    assert {one["metadata"]["namespace"] for one in added} == {"plant-a"}
    assert len(added) == 5
    scraped = {
        one["metadata"]["name"]
        for one in built
        if one["kind"] in ("Deployment", "DaemonSet")
        and "prometheus.io/port" in one["spec"]["template"]["metadata"].get("annotations", {})
    }
    assert len(scraped) == 7


@pytest.mark.skipif(kubectl() is None, reason="kubectl has not been built yet")
@pytest.mark.parametrize("component", ["rtnet", "taprio"])
def test_each_back_end_of_networks_gets_what_it_needs_and_no_more(
    component: str, tmp_path: Path
) -> None:
    places = {
        name: os.path.relpath(MANIFESTS / name, tmp_path)
        for name in ("base", f"components/{component}")
    }
    resources, components = [places["base"]], [places[f"components/{component}"]]
    kustomization = {"resources": resources, "components": components}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    result = subprocess.run(
        [str(kubectl()), "kustomize", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )

    (pod,) = (
        item["spec"]["template"]["spec"]
        for item in yaml.safe_load_all(result.stdout)
        if item["kind"] == "DaemonSet" and item["metadata"]["name"] == "scarmiglione"
    )
    context = pod["containers"][0]["securityContext"]
    environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    if component == "rtnet":
        assert context == {"privileged": True, "readOnlyRootFilesystem": True}
        assert "/dev/rtnet" in [one["mountPath"] for one in pod["containers"][0]["volumeMounts"]]
        assert not pod.get("hostNetwork", False)
    else:
        assert context["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
        assert not context["privileged"]
        assert pod["hostNetwork"]
        assert environment["K40S_NETWORK_BACK_END"] == "taprio"
