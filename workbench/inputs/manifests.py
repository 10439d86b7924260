"""Pods in Kubernetes manifests: Pods, and whatever makes them from a template.

Every object of a manifest is analyzed, or a remark says why not.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from k40s.annotations import METRIC_KEY, POD_KEYS, parse_pod_metric, read_workload
from k40s.cpu.workload import Workload
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError, InvalidInputError
from k40s.strict_json import Json
from workbench.inputs.misplaced_keys import check_keys, find_key
from workbench.inputs.pod_templates import Steps, find_templates, member_of, step_to
from workbench.inputs.pods import Pod

SCHEDULER = "k40s-scheduler"
"""The scheduler that asks k40s; pods of any other are placed unchecked."""

_MAX_ITEMS = 500
_KIND = re.compile(r"[!-~]{1,300}", re.ASCII)
_NAME = re.compile(r"[!-~]{1,253}", re.ASCII)
_CONTAINER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_COUNTS = ("replicas", "parallelism")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Why an object (``about``) is not analyzed."""

    about: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The pods to analyze, in the order of the objects, and remarks on the rest."""

    pods: tuple[Pod, ...]
    remarks: tuple[Remark, ...]


def is_manifest(element: Json) -> bool:
    """Whether a document is a Kubernetes object, or looks like one."""
    return isinstance(element.value, dict) and bool({"apiVersion", "kind"} & set(element.value))


def read_manifest(
    documents: Sequence[Json], *, source: str, taken: Collection[str] = ()
) -> Manifest:
    """One pod of each template with requests to k40s; no name is one of ``taken``.

    Raises ``InvalidInputError``; also where there is no such pod.
    """
    pods: list[Pod] = []
    remarks: list[Remark] = []
    for whole in [found for document in documents for found in list_objects(document, remarks)]:
        pods += _read_object(whole, remarks)
    if not pods:
        listed = "; ".join(f"{remark.about}: {remark.says}" for remark in remarks)
        raise Json(value=None, source=source, error=InvalidInputError).invalid(
            f"a pod, or a template of pods, with annotations of k40s ({', '.join(POD_KEYS)}); "
            f"there is {listed or 'no object'}",
            found="nothing to judge",
        )
    names = _distinct([pod.name for pod in pods], taken)
    distinct = [replace(pod, name=name) for pod, name in zip(pods, names, strict=True)]
    return Manifest(pods=tuple(distinct), remarks=tuple(remarks))


def list_objects(document: Json, remarks: list[Remark], inherited: str = "") -> list[Json]:
    """The object, or those in it where it is a list. Lists of a kind may leave the kind out."""
    if inherited and isinstance(document.value, dict) and not is_manifest(document):
        kind, version = inherited.split(" ")
        document = replace(document, value={"kind": kind, "apiVersion": version} | document.value)
    if not is_manifest(document):
        raise document.invalid("a Kubernetes object with apiVersion and kind", found="none")
    for name in ("apiVersion", "kind"):
        element = member_of(document, name)
        element.text(_KIND, "a text")
    members = document.members()
    kind = str(members["kind"].value)
    items = members.get("items")
    if not kind.endswith("List") or (items is None and kind != "List"):
        return [document]
    entries = [] if items is None or items.value is None else items.items(at_most=_MAX_ITEMS)
    if not entries:
        remarks.append(Remark(about=_title(document), says="no items"))
    of_kind = f"{kind.removesuffix('List')} {members['apiVersion'].value}"
    inherits = of_kind if kind != "List" else ""
    return [found for entry in entries for found in list_objects(entry, remarks, inherits)]


def _read_object(whole: Json, remarks: list[Remark]) -> list[Pod]:
    holders = find_templates(whole)
    title = _title(whole)
    if not holders:
        key = find_key(whole)
        says = "no pod in it" if key is None else f"no pod in it, so that its {key} counts nowhere"
        remarks.append(Remark(about=title, says=says))
        return []
    check_keys(whole, holders)
    pods = []
    for steps in holders:
        pod = _read_pod(whole, steps)
        if _requests_nothing(pod.workload):
            says = "it asks nothing of k40s: its pods count as criticality NO"
            remarks.append(Remark(about=title, says=says))
        else:
            pods.append(pod)
    if pods:
        remarks += _copies(whole, holders, title)
    return pods


def _read_pod(whole: Json, steps: Steps) -> Pod:
    holder = step_to(whole, steps)
    metadata = holder.members().get("metadata")
    labels = _texts(metadata, "labels")
    annotations = _texts(metadata, "annotations")
    spec = member_of(holder, "spec")
    containers = _containers(member_of(spec, "containers"), at_least=1)
    initial = spec.members().get("initContainers")
    restarts = {} if initial is None or initial.value is None else _containers(initial)
    try:
        workload = read_workload(
            labels=labels,
            annotations=annotations,
            containers=tuple(containers),
            sidecars=[name for name, always in restarts.items() if always],
            init_containers=[name for name, always in restarts.items() if not always],
        )
        if METRIC_KEY in annotations:
            parse_pod_metric(annotations[METRIC_KEY])
    except InvalidAnnotationError as error:
        raise _placed(holder, error) from error
    if not _requests_nothing(workload):
        _check_scheduling(spec, metadata)
    return Pod(name=_name(whole) or "pod", workload=workload)


def _requests_nothing(workload: Workload) -> bool:
    return workload.criticality is Criticality.NO and not workload.is_real_time


def _check_scheduling(spec: Json, metadata: Json | None) -> None:
    """Require that k40s's scheduler places the pod."""
    members = spec.members()
    scheduler = members.get("schedulerName")
    given = None if scheduler is None else scheduler.value
    if given != SCHEDULER:
        element = spec if scheduler is None else scheduler
        found = "no schedulerName" if given is None else None
        raise element.invalid(
            f"schedulerName: {SCHEDULER}, because any other scheduler elements the pod unchecked",
            found=found,
        )
    saved = metadata is not None and metadata.members().get("uid") is not None
    if members.get("nodeName") is not None and members["nodeName"].value and not saved:
        raise members["nodeName"].invalid("no nodeName, because the pod has to be admitted")


def _containers(element: Json, *, at_least: int = 0) -> dict[str, bool]:
    """Name -> whether its restartPolicy is Always, which makes an init container a sidecar."""
    found: dict[str, bool] = {}
    for container in element.items(at_least=at_least, at_most=_MAX_ITEMS):
        name = member_of(container, "name")
        text = name.text(_CONTAINER, "a container's name, of lower-case letters, digits and -")
        if text in found:
            raise name.invalid("a name used once per pod")
        policy = container.members().get("restartPolicy")
        found[text] = policy is not None and policy.value == "Always"
    return found


def _texts(metadata: Json | None, part: str) -> dict[str, str]:
    """Labels or annotations, whose values have to be text. Kubernetes reads null as ""."""
    if metadata is None or metadata.value is None:
        return {}
    held = metadata.members().get(part)
    if held is None or held.value is None:
        return {}
    found: dict[str, str] = {}
    for key, member in held.members().items():
        if member.value is None and key not in POD_KEYS:
            found[key] = ""
        elif isinstance(member.value, str):
            found[key] = member.value
        else:
            raise member.invalid(_as_text(member.value))
    return found


def _as_text(value: object) -> str:
    """The expected value where one is no text."""
    if isinstance(value, dict | list):
        return "a text: a | behind the key, and JSON in the lines below"
    if isinstance(value, bool):
        return 'a text: put it into quotes, as NO, off and n are false in YAML without, "NO" is not'
    return 'a text: put it into quotes, as in "1"'


def _copies(whole: Json, holders: Sequence[Steps], title: str) -> list[Remark]:
    """Remarks on replica counts, of the object and beside each template."""
    says: dict[str, None] = {}
    spec = whole.members().get("spec")
    elements = [] if spec is None else [spec]
    elements += [step_to(whole, steps[:-1]) for steps in holders if steps]
    for element in elements:
        for name in _COUNTS:
            count = element.value.get(name) if isinstance(element.value, dict) else None
            if isinstance(count, int) and count != 1:
                says[f"one pod is judged, {name} is {count}"] = None
    return [Remark(about=title, says=text) for text in says]


def _title(whole: Json) -> str:
    """Kind and name."""
    members = whole.members()
    return f"{members['kind'].value} {_name(whole)}".rstrip()


def _name(whole: Json) -> str:
    """An object's name, or what one is generated from; "" where it has neither."""
    metadata = whole.members().get("metadata")
    given = {} if metadata is None or metadata.value is None else metadata.members()
    for key in ("name", "generateName"):
        element = given.get(key)
        if element is not None and element.value is not None and element.value != "":
            return element.text(_NAME, "a name, which is text: in quotes if it looks like a number")
    return ""


def _distinct(names: Sequence[str], taken: Collection[str]) -> list[str]:
    """The names, numbered where several pods share one: the name stands for a uid."""
    used = {*taken, *names}
    found = []
    for name in names:
        number, given = 0, name
        while given in used if number else (names.count(name) > 1 or name in taken):
            number += 1
            given = f"{name}-{number}"
        used.add(given)
        found.append(given)
    return found


def _placed(holder: Json, error: InvalidAnnotationError) -> InvalidInputError:
    """The annotation's error, with the file and the path of the pod before it."""
    source = f"{holder.source} at {holder.path}: {error.source}"
    element = Json(value=None, source=source, error=InvalidInputError, path=error.path)
    return element.invalid(error.expected, found=error.found)
