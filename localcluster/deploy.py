"""Deploys k40s on a local cluster: images, certificates and the shipped manifests."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from k40s.pki.directory import CertificateDirectory
from localcluster.cluster import Cluster
from localcluster.errors import CommandError, LocalClusterError
from localcluster.images.cluster_images import PROJECT, ImageStore
from localcluster.plane.control_plane import ControlPlane
from localcluster.progress import Progress
from localcluster.settings import ClusterSettings

NAMESPACE = "k40s-system"
_OVERLAY = Path("manifests/overlays/local")
_GUEST_OVERLAY = Path("manifests/overlays/local-guest")
_SLOW_OVERLAY = Path("manifests/overlays/local-slow")
_NAMESPACE_MANIFEST = Path("manifests/base/namespace.yaml")
_LIFETIME = timedelta(days=90)
_AUTHORITY_LIFETIME = timedelta(days=365)
_ROLLOUT_TIMEOUT = 400
_GUEST_ROLLOUT_TIMEOUT = 900
_LOOK_EVERY = 15
_CRASH_LOOP_RESTARTS = 3
_LOG_LINES = 12


def deploy(
    cluster: Cluster,
    *,
    progress: Progress | None = None,
    project: Path = PROJECT,
    overlay: Path | None = None,
    namespace: str = NAMESPACE,
) -> None:
    """Build and load the images, apply certificates and the local overlay, wait until all is ready.

    ``overlay`` is another one than the shipped, which has everything in ``namespace``.
    Repeat it after a change of the sources: pods of a changed image are restarted.
    Raises ``LocalClusterError``; when a pod does not become ready, with its state and log.
    """
    steps = progress or Progress()
    started = datetime.now(UTC)
    plane = cluster.plane()
    store = ImageStore(cluster.cache, progress=steps)
    own = store.k40s(project)
    archives = [own, store.scheduler(plane.binaries), store.python(), store.workload()]
    with steps.step("loading images on the nodes"):
        cluster.load_images(archives)
    with steps.step("applying certificates and manifests"):
        has_guest = any(node.guest for node in cluster.settings.nodes)
        chosen = overlay or project / _overlay(cluster.settings)
        _make_namespace(plane, project, namespace)
        _apply(plane, cluster.paths.state / "certificates", chosen, namespace)
        _renew_pods(plane, cluster.paths.state / "deployed-image", own.name, namespace)
    with steps.step("waiting until k40s is ready"):
        timeout = _GUEST_ROLLOUT_TIMEOUT if has_guest else _ROLLOUT_TIMEOUT
        patient = timeout * cluster.settings.patience
        _wait_rolled_out(plane, namespace, since=started, timeout=patient)


def _overlay(settings: ClusterSettings) -> Path:
    if any(node.guest for node in settings.nodes):
        return _GUEST_OVERLAY
    return _SLOW_OVERLAY if settings.patience > 1 else _OVERLAY


def describe_page(name: str) -> str:
    """How to open the page of a cluster with this name."""
    kubectl = f"k40s local kubectl --name {name} -- --namespace={NAMESPACE}"
    return (
        f"the page: {kubectl} port-forward service/k40s-insight 8443:443\n"
        f"  then open https://localhost:8443 with the token of: {kubectl} create token k40s-viewer"
    )


def describe_pods(pods: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Name and state of every pod that is not ready, from API objects."""
    found = []
    for pod in pods:
        status = pod.get("status", {})
        containers = status.get("containerStatuses", [])
        if containers and all(container.get("ready") for container in containers):
            continue
        states = [
            f"{kind} {detail.get('reason', '')} {detail.get('message', '')}".strip()
            for container in containers
            for kind, detail in container.get("state", {}).items()
        ]
        reasons = [
            condition.get("message", "")
            for condition in status.get("conditions", [])
            if condition.get("status") != "True" and not containers
        ]
        text = "; ".join(filter(None, [*states, *reasons])) or str(status.get("phase"))
        found.append((str(pod["metadata"]["name"]), text))
    return found


def is_crash_looping(pods: Iterable[Mapping[str, Any]], *, since: datetime) -> bool:
    """Whether a container created after ``since`` is in a crash loop."""
    start = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return any(
        container.get("restartCount", 0) >= _CRASH_LOOP_RESTARTS and not container.get("ready")
        for pod in pods
        if pod["metadata"]["creationTimestamp"] >= start
        for container in pod.get("status", {}).get("containerStatuses", [])
    )


def _make_namespace(plane: ControlPlane, project: Path, namespace: str) -> None:
    """Apply the shipped Namespace, under this name."""
    shipped = yaml.safe_load((project / _NAMESPACE_MANIFEST).read_text(encoding="utf-8"))
    shipped["metadata"]["name"] = namespace
    plane.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(shipped))


def _apply(plane: ControlPlane, certificates: Path, overlay: Path, namespace: str) -> None:
    CertificateDirectory(certificates, namespace).issue(
        lifetime=_LIFETIME, authority_lifetime=_AUTHORITY_LIFETIME, now=datetime.now(UTC)
    )
    plane.kubectl("apply", "--kustomize", str(certificates))
    plane.kubectl("apply", "--kustomize", str(overlay), timeout=300)


def _renew_pods(plane: ControlPlane, marker: Path, image: str, namespace: str) -> None:
    """Restart the pods if the image changed, as its tag stays the same."""
    former = marker.read_text(encoding="utf-8") if marker.exists() else image
    if former != image:
        plane.kubectl("rollout", "restart", "deployment,daemonset", f"--namespace={namespace}")
    marker.write_text(image, encoding="utf-8")


def _wait_rolled_out(
    plane: ControlPlane, namespace: str, *, since: datetime, timeout: float
) -> None:
    words = ("deployment,daemonset", f"--namespace={namespace}", "--output=name")
    deadline = time.monotonic() + timeout
    for workload in plane.kubectl("get", *words).split():
        while not _is_rolled_out(plane, namespace, workload):
            pods = _pods(plane, namespace)
            if is_crash_looping(pods, since=since) or time.monotonic() > deadline:
                report = _report(plane, namespace, pods)
                raise LocalClusterError(f"{workload} is not ready:\n{report}")


def _is_rolled_out(plane: ControlPlane, namespace: str, workload: str) -> bool:
    try:
        plane.kubectl(
            *("rollout", "status", workload, f"--namespace={namespace}"),
            f"--timeout={_LOOK_EVERY}s",
            timeout=_LOOK_EVERY + 30,
        )
    except CommandError:
        return False
    return True


def _pods(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = plane.get("pods", f"--namespace={namespace}")["items"]
    return items


def _report(plane: ControlPlane, namespace: str, pods: Iterable[Mapping[str, Any]]) -> str:
    parts = []
    for name, state in describe_pods(pods):
        log = _tail(plane, namespace, name, "--previous") or _tail(plane, namespace, name)
        parts.append(f"{name}: {state}\n{log}".rstrip())
    return "\n".join(parts) or "all its pods are ready"


def _tail(plane: ControlPlane, namespace: str, pod: str, *words: str) -> str:
    try:
        return plane.kubectl(
            "logs", pod, f"--namespace={namespace}", f"--tail={_LOG_LINES}", *words
        )
    except CommandError:
        return ""
