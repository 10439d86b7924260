"""A Pod's containers by kind, and their states and ids by its status."""

from collections.abc import Iterator

from k40s.kube.objects.fields import Fields, JsonObject
from k40s.kube.records import ContainerState

_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_STARTING = ("ContainerCreating", "PodInitializing", "waiting")
"""Reasons for waiting that are no failure."""
_LONGEST_REASON = 64


def container_names(fields: Fields, spec: JsonObject) -> tuple[str, ...]:
    """Names of the ordinary containers, of which a pod has one at least."""
    if spec.get("containers") is None:
        fields.refuse("containers", "spec.containers", None, "an array")
    return _names(fields, spec, "containers", "containers")


def init_container_names(fields: Fields, spec: JsonObject, *, restartable: bool) -> tuple[str, ...]:
    """Names of init containers: those that run on beside the others, or those that end before."""
    field = "sidecars" if restartable else "init_containers"
    return _names(fields, spec, field, "initContainers", restartable=restartable)


def ephemeral_container_names(fields: Fields, spec: JsonObject) -> tuple[str, ...]:
    """Names of ephemeral containers, which are added for debugging."""
    return _names(fields, spec, "ephemeral_containers", "ephemeralContainers")


def container_ids(fields: Fields, status: JsonObject) -> dict[str, str]:
    """Name -> bare id, without the runtime's scheme (``containerd://``)."""
    found = {}
    for path, name, state in _statuses(fields, status, "container_ids"):
        id_ = fields.text("container_ids", f"{path}.containerID", state.get("containerID"))
        if id_:
            found[name] = id_.rpartition("/")[2]
    return found


def container_states(fields: Fields, status: JsonObject) -> dict[str, ContainerState]:
    """Name -> state, of the containers whose status has one."""
    return {
        name: _state(fields, path, state)
        for path, name, state in _statuses(fields, status, "states")
        if state.get("state")
    }


def _names(
    fields: Fields, spec: JsonObject, field: str, key: str, *, restartable: bool | None = None
) -> tuple[str, ...]:
    found = []
    for path, container in fields.parts(field, f"spec.{key}", spec.get(key)):
        if restartable is not None and (
            (container.get("restartPolicy") == "Always") is not restartable
        ):
            continue
        name = container.get("name")
        if isinstance(name, str) and name:
            found.append(name)
        else:
            fields.refuse(field, f"{path}.name", name, "a name")
    return tuple(found)


def _statuses(
    fields: Fields, status: JsonObject, field: str
) -> Iterator[tuple[str, str, JsonObject]]:
    """The path, name and status of each container."""
    for key in _STATUSES:
        for path, state in fields.parts(field, f"status.{key}", status.get(key)):
            name = state.get("name")
            if isinstance(name, str) and name:
                yield path, name, state
            elif state.get("containerID") or state.get("state"):
                fields.refuse(field, f"{path}.name", name, "a name")


def _state(fields: Fields, path: str, status: JsonObject) -> ContainerState:
    state = fields.part("states", f"{path}.state", status.get("state"))
    if state.get("running") is not None:
        return ContainerState(running=True)
    if state.get("terminated") is not None:
        ended = fields.part("states", f"{path}.state.terminated", state["terminated"])
        return ContainerState(
            running=False, failing=ended.get("exitCode") not in (0, None), text=_ended(ended)
        )
    waiting = fields.part("states", f"{path}.state.waiting", state.get("waiting"))
    reason = waiting.get("reason") or "waiting"
    former = fields.part("states", f"{path}.lastState", status.get("lastState"))
    last = fields.part("states", f"{path}.lastState.terminated", former.get("terminated"))
    text = _clip(reason) + (f", {_ended(last)} before" if last else "")
    return ContainerState(running=False, failing=reason not in _STARTING, text=text)


def _ended(terminated: JsonObject) -> str:
    reason, code = terminated.get("reason") or "ended", terminated.get("exitCode")
    return f"{_clip(reason)} with exit code {_clip(code)}"


def _clip(text: object) -> str:
    return str(text)[:_LONGEST_REASON] if isinstance(text, str | int) else "?"
