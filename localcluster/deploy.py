"""Put k40s on a local cluster: the images and the shipped manifests, and nothing by hand."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from k40s.runtime.certificate_directory import CertificateDirectory
from localcluster.cluster import Cluster
from localcluster.control_plane import ControlPlane
from localcluster.errors import CommandError, LocalClusterError
from localcluster.images import PROJECT, ImageStore
from localcluster.progress import Progress

NAMESPACE = "k40s-system"
_OVERLAY = Path("manifests/overlays/local")
_GUEST_OVERLAY = Path("manifests/overlays/local-guest")
_NAMESPACE_MANIFEST = Path("manifests/base/namespace.yaml")
_LIFETIME = timedelta(days=90)
_AUTHORITY_LIFETIME = timedelta(days=365)
_ROLLOUT_TIMEOUT = 400
_GUEST_ROLLOUT_TIMEOUT = 900
_LOOK_EVERY = 15
_HOPELESS_RESTARTS = 3
_LOG_LINES = 12


def deploy(cluster: Cluster, *, progress: Progress | None = None, project: Path = PROJECT) -> None:
    """Build and load the images, apply certificates and the local overlay, wait until all is ready.

    To be repeated after a change of the sources: pods of a changed image are made anew.
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
        overlay = project / (_GUEST_OVERLAY if has_guest else _OVERLAY)
        _apply(plane, cluster.paths.state / "certificates", project, overlay)
        _renew_pods(plane, cluster.paths.state / "deployed-image", own.name)
    with steps.step("waiting until k40s is ready"):
        timeout = _GUEST_ROLLOUT_TIMEOUT if has_guest else _ROLLOUT_TIMEOUT
        _wait_rolled_out(plane, since=started, timeout=timeout)


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


def is_hopeless(pods: Iterable[Mapping[str, Any]], *, since: datetime) -> bool:
    """Whether a container made ``since`` then ends again and again: waiting is of no use."""
    start = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return any(
        container.get("restartCount", 0) >= _HOPELESS_RESTARTS and not container.get("ready")
        for pod in pods
        if pod["metadata"]["creationTimestamp"] >= start
        for container in pod.get("status", {}).get("containerStatuses", [])
    )


def _apply(plane: ControlPlane, certificates: Path, project: Path, overlay: Path) -> None:
    plane.kubectl("apply", "--filename", str(project / _NAMESPACE_MANIFEST))
    CertificateDirectory(certificates, NAMESPACE).issue(
        lifetime=_LIFETIME, authority_lifetime=_AUTHORITY_LIFETIME, now=datetime.now(UTC)
    )
    plane.kubectl("apply", "--kustomize", str(certificates))
    plane.kubectl("apply", "--kustomize", str(overlay), timeout=300)


def _renew_pods(plane: ControlPlane, marker: Path, image: str) -> None:
    """The tag stays the same when the image changes, so pods have to be told."""
    former = marker.read_text(encoding="utf-8") if marker.exists() else image
    if former != image:
        plane.kubectl("rollout", "restart", "deployment,daemonset", f"--namespace={NAMESPACE}")
    marker.write_text(image, encoding="utf-8")


def _wait_rolled_out(plane: ControlPlane, *, since: datetime, timeout: float) -> None:
    words = ("deployment,daemonset", f"--namespace={NAMESPACE}", "--output=name")
    deadline = time.monotonic() + timeout
    for workload in plane.kubectl("get", *words).split():
        while not _is_rolled_out(plane, workload):
            pods = _pods(plane)
            if is_hopeless(pods, since=since) or time.monotonic() > deadline:
                raise LocalClusterError(f"{workload} is not ready:\n{_report(plane, pods)}")


def _is_rolled_out(plane: ControlPlane, workload: str) -> bool:
    try:
        plane.kubectl(
            *("rollout", "status", workload, f"--namespace={NAMESPACE}"),
            f"--timeout={_LOOK_EVERY}s",
            timeout=_LOOK_EVERY + 30,
        )
    except CommandError:
        return False
    return True


def _pods(plane: ControlPlane) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = plane.get("pods", f"--namespace={NAMESPACE}")["items"]
    return items


def _report(plane: ControlPlane, pods: Iterable[Mapping[str, Any]]) -> str:
    parts = []
    for name, state in describe_pods(pods):
        log = _tail(plane, name, "--previous") or _tail(plane, name)
        parts.append(f"{name}: {state}\n{log}".rstrip())
    return "\n".join(parts) or "all its pods are ready"


def _tail(plane: ControlPlane, pod: str, *words: str) -> str:
    try:
        return plane.kubectl(
            "logs", pod, f"--namespace={NAMESPACE}", f"--tail={_LOG_LINES}", *words
        )
    except CommandError:
        return ""
