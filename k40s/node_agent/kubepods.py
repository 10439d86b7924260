"""Names of the cgroups of pods and containers, as kubelet's two cgroup drivers make them.

cgroupfs makes ``<root>/kubepods``. systemd nests each part of a name in the ones before it, with
underscores for dashes: cgroupRoot ``/a/b`` is ``a.slice/a-b.slice/a-b-kubepods.slice``. The driver
is kubelet's own affair, so both are looked for. Below kubepods,

cgroupfs: ``kubepods[/burstable|/besteffort]/pod<uid>/<container id>``; systemd:
``X.slice[/X-burstable.slice]/X[-burstable]-pod<uid>.slice/cri-containerd-<container id>.scope``,
with underscores for the dashes of the UID. A static pod has no UID of the API server: kubelet
names its cgroup by the hash that the mirror pod bears as kubernetes.io/config.hash.
"""

import re
from pathlib import Path

KUBEPODS = "kubepods"
_SLICE = ".slice"
_KUBEPODS = re.compile(rf"{KUBEPODS}(?:\.slice)?|[^/]+-{KUBEPODS}\.slice")
_QOS = ("", "burstable", "besteffort")
_CONTAINER = re.compile(r"(?:(?:cri-containerd|crio|docker|libpod)-)?([0-9a-f]{64})(?:\.scope)?")
"""Only what runtimes call a container's own cgroup: a monitor's beside it (crio-conmon-…,
libpod-conmon-…) bears the same id."""
_UID = r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}"
_HASH = r"[0-9a-f]{32}"
_PREFIX = rf"(?:pod|(?:[^-/]+-)*{KUBEPODS}(?:-burstable|-besteffort)?-pod)"
_POD = re.compile(rf"{_PREFIX}({_UID})(?:\.slice)?")
_STATIC_POD = re.compile(rf"{_PREFIX}({_HASH})(?:\.slice)?")


def kubepods_paths(cgroup_root: str) -> tuple[Path, ...]:
    """All paths of kubepods for a cgroupRoot, relative to the top of a hierarchy.

    A root may also be a directory as it is seen there, of a kubelet in a container or in a slice.
    """
    parts = root_parts(cgroup_root)
    literal = Path(*parts)
    found = [literal / KUBEPODS, literal / f"{KUBEPODS}{_SLICE}", _nested([*parts, KUBEPODS])]
    if literal.suffix == _SLICE:
        found.append(literal / f"{literal.stem}-{KUBEPODS}{_SLICE}")
    return tuple(dict.fromkeys(found))


def cgroup_root_of(kubepods: Path) -> str:
    """The cgroupRoot with which kubepods are looked for at this path."""
    prefix = kubepods.name.removesuffix(_SLICE).removesuffix(KUBEPODS).strip("-")
    decoded = "/" + prefix.replace("-", "/")
    literal = "/" + "/".join(kubepods.parent.parts)
    return decoded if kubepods in kubepods_paths(decoded) else literal


def root_parts(cgroup_root: str) -> list[str]:
    """The parts of a cgroupRoot's path; none for kubelet's default."""
    return [part for part in cgroup_root.split("/") if part not in ("", ".")]


def qos_paths(kubepods: Path) -> tuple[Path, ...]:
    """The parents of pods: kubepods for guaranteed ones, and a group for each other QoS class."""
    return tuple(_class_of(kubepods, qos) for qos in _QOS)


def pod_name(parent: Path, uid: str) -> str:
    """The name of a pod's cgroup in its parent."""
    if parent.suffix == _SLICE:
        return f"{parent.stem}-pod{uid.replace('-', '_')}.slice"
    return f"pod{uid}"


def pod_uid(name: str) -> str | None:
    """The UID of the pod whose cgroup has this name; None for another cgroup."""
    match = _POD.fullmatch(name)
    return match[1].replace("_", "-") if match else None


def static_pod_hash(name: str) -> str | None:
    """The hash of the static pod whose cgroup has this name; None for another cgroup."""
    match = _STATIC_POD.fullmatch(name)
    return match[1] if match else None


def container_id(name: str) -> str | None:
    """The id of the container whose cgroup has this name; None for another cgroup."""
    match = _CONTAINER.fullmatch(name)
    return match[1] if match else None


def is_kubepods(name: str) -> bool:
    """Whether a cgroup bears the name of kubepods."""
    return bool(_KUBEPODS.fullmatch(name))


def is_in_kubepods(path: str) -> bool:
    """Whether a cgroup's path leads through kubepods."""
    return KUBEPODS in path and any(map(is_kubepods, path.split("/")))


def _nested(parts: list[str]) -> Path:
    names = [part.replace("-", "_") for part in parts]
    return Path(*("-".join(names[: n + 1]) + _SLICE for n in range(len(names))))


def _class_of(kubepods: Path, qos: str) -> Path:
    if not qos:
        return kubepods
    return kubepods / (f"{kubepods.stem}-{qos}.slice" if kubepods.suffix == _SLICE else qos)
