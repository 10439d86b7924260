"""A real API server peopled with Node and Pod objects that no kubelet stands behind."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3
import yaml

from k40s.annotations import (
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    format_node_assurance,
    parse_cpu_state,
)
from localcluster.credentials.certificates import KeyPair
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.world import make_assurance

NAMESPACE = "k40s-system"
PODS = "/api/v1/namespaces/default/pods"
PATIENCE_S = 180
NETWORKS = "/apis/k40s.io/v1alpha1/networks"
TENANTS = "/apis/k40s.io/v1alpha1/tenants"
MERGE = "application/merge-patch+json"
_ROOT = Path(__file__).parents[2]
_LAST = "created-last"
_HEEDED = "everything is heeded"
_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"


class Api:
    """The administrator's raw requests; any status but 2xx and the ``accepted`` is an error."""

    def __init__(self, plane: ControlPlane) -> None:
        admin = KeyPair.at(plane.directory / "pki", "admin")
        self._server = plane.endpoint.server
        self._pool = urllib3.PoolManager(
            ca_certs=str(plane.authority.pair.certificate),
            cert_file=str(admin.certificate),
            key_file=str(admin.key),
            timeout=120,
            retries=False,
            maxsize=8,
        )

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        accepted: Sequence[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        answer = self._pool.request(
            method,
            self._server + path,
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": kind, **(headers or {})},
        )
        if not 200 <= answer.status < 300 and answer.status not in accepted:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.data[:300]!r}")
        document: dict[str, Any] = json.loads(answer.data)
        return document

    def close(self) -> None:
        self._pool.clear()


def prepare(api: Api) -> None:
    """Our namespace, the service account that a controller manager would make, and our kinds."""
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for name in ("networks.yaml", "tenants.yaml"):
        text = (_ROOT / "manifests" / "base" / name).read_text()
        api.request("POST", definitions, yaml.safe_load(text), accepted=(409,))
    wait_until(lambda: _are_served(api, NETWORKS) and _are_served(api, TENANTS))
    body = {"metadata": {"name": NAMESPACE}}
    api.request("POST", "/api/v1/namespaces", body, accepted=(409,))
    account = {"metadata": {"name": "default"}}
    path = "/api/v1/namespaces/default/serviceaccounts"
    api.request("POST", path, account, accepted=(409,))


def register_nodes(
    api: Api,
    names: Iterable[str],
    *,
    annotations: Callable[[str], Mapping[str, str]] = lambda _name: {},
    leases: Iterable[str] = ("malacoda",),
) -> None:
    """Register ready nodes, free of the taint that admission puts on new ones, and their Leases."""
    daemons = tuple(leases)

    def register(name: str) -> None:
        api.request("POST", "/api/v1/nodes", _node(name, annotations(name)))
        clean = {"spec": {"taints": None}}
        api.request("PATCH", f"/api/v1/nodes/{name}", clean, kind=MERGE)
        for daemon in daemons:
            api.request("POST", _LEASES, _lease(f"{daemon}-{name}"), accepted=(409,))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(register, names))


def annotate_node(api: Api, name: str, annotations: Mapping[str, str]) -> None:
    body = {"metadata": {"annotations": dict(annotations)}}
    api.request("PATCH", f"/api/v1/nodes/{name}", body, kind=MERGE)


def renew_lease(api: Api, daemon: str, node: str) -> None:
    api.request("PATCH", f"{_LEASES}/{daemon}-{node}", _lease(f"{daemon}-{node}"), kind=MERGE)


def make_spec(
    name: str,
    *,
    scheduler: str,
    annotations: Mapping[str, str] | None = None,
    cpu: str = "10m",
) -> dict[str, Any]:
    """A pod of one container for one scheduler."""
    return {
        "metadata": {"name": name, "annotations": dict(annotations or {})},
        "spec": {
            "schedulerName": scheduler,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {"name": "main", "image": "app", "resources": {"requests": {"cpu": cpu}}}
            ],
        },
    }


def create_pods(api: Api, specs: Iterable[Mapping[str, Any]]) -> None:
    def create(spec: Mapping[str, Any]) -> None:
        api.request("POST", PODS, spec)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, specs))


def get_pod(api: Api, name: str) -> dict[str, Any]:
    return api.request("GET", f"{PODS}/{name}")


def delete_pods(api: Api) -> None:
    """All pods of the default namespace, at once."""
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
    api.request("DELETE", PODS, options)


def refusal_of(api: Api, name: str) -> str:
    """The message of the pod's PodScheduled condition, if it has one."""
    conditions = get_pod(api, name)["status"].get("conditions", [])
    return " ".join(c.get("message", "") for c in conditions if c["type"] == "PodScheduled")


def assured(level: int) -> dict[str, str]:
    """What malacoda publishes for a node of this level, good for an hour."""
    return {ASSURANCE_KEY: long_lived(format_node_assurance(make_assurance(level)))}


def long_lived(published: str) -> str:
    """The same for an hour: nobody renews the daemons' Leases."""
    assert '"30s"' in published
    return published.replace('"30s"', '"3600s"')


def wait_until(check: Callable[[], object]) -> None:
    """Look ten times a second; the limit is a net against hangs."""
    pause, end = threading.Event(), time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < end, f"not within {PATIENCE_S} s"
        pause.wait(0.1)


def wait_until_heeded(api: Api) -> None:
    """Wait until the API server heeds every policy and cluster role that was created so far.

    It hears of each kind in the order of creation; so what is created here is heeded last.
    """
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _LAST}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": _LAST}
    match = {
        "resourceRules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["configmaps"],
                "operations": ["CREATE"],
            }
        ]
    }
    refusal = {"expression": f"object.metadata.name != {_LAST!r}", "message": _HEEDED}
    binding = {"policyName": _LAST, "validationActions": ["Deny"]}
    for path, body in (
        ("rbac.authorization.k8s.io/v1/clusterroles", {"rules": [rule]}),
        (
            "rbac.authorization.k8s.io/v1/clusterrolebindings",
            {"roleRef": role, "subjects": [user]},
        ),
        (
            "admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            {"spec": {"matchConstraints": match, "validations": [refusal]}},
        ),
        (
            "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
            {"spec": binding},
        ),
    ):
        api.request("POST", f"/apis/{path}", {"metadata": {"name": _LAST}, **body})

    def is_refused() -> bool:
        answer = api.request(
            "POST",
            "/api/v1/namespaces/default/configmaps?dryRun=All",
            {"metadata": {"name": _LAST}},
            accepted=(403, 422),
            headers={"Impersonate-User": _LAST},
        )
        return _HEEDED in str(answer.get("message"))

    wait_until(is_refused)


def real_time(cpu_state: str, assurance: str) -> dict[str, str]:
    return {ASSURANCE_KEY: assurance, CPU_STATE_KEY: cpu_state}


def _are_served(api: Api, path: str) -> bool:
    """Whether the API server has begun with our kinds; a 404 before that is no JSON."""
    try:
        return "items" in api.request("GET", path, accepted=(404, 429))
    except json.JSONDecodeError:
        return False


def _node(name: str, annotations: Mapping[str, str]) -> dict[str, Any]:
    size = {"cpu": "32", "memory": "64Gi", "pods": "110"}
    labels = {"kubernetes.io/hostname": name}
    if CPU_STATE_KEY in annotations:
        labels[REAL_TIME_LABEL] = "true"
        labels[PLATFORM_LABEL] = parse_cpu_state(annotations[CPU_STATE_KEY]).node.platform
    return {
        "metadata": {"name": name, "labels": labels, "annotations": dict(annotations)},
        "status": {
            "capacity": size,
            "allocatable": size,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }


def _lease(name: str) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "metadata": {"name": name},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 3600, "renewTime": now},
    }
