"""What the bodies of both node APIs share: their size, pods, and reasons."""

import re
from dataclasses import dataclass

from k40s.errors import InvalidInputError
from k40s.reasons import Reason
from k40s.strict_json import Json, read_json

MAX_BODY = 128 * 1024
"""Longest request or answer, in bytes."""
UID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
POD_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRef:
    """A pod, by all of its names."""

    uid: str
    namespace: str
    name: str


def read_body(body: bytes, source: str, at_most: int = MAX_BODY) -> Json:
    """Decode a body. Raises ``InvalidInputError`` where it is too long, or not JSON in UTF-8."""
    size = len(body)
    if size > at_most:
        raise InvalidInputError(
            source=source, path="$", found=size, expected=f"at most {at_most} bytes"
        )
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidInputError(
            source=source, path="$", found=body[:40], expected="JSON in UTF-8"
        ) from None
    return read_json(text, source=source, error=InvalidInputError, at_most=at_most)


def pod_json(pod: PodRef) -> dict[str, object]:
    """A pod as ``read_pod`` reads it."""
    return {"uid": pod.uid, "namespace": pod.namespace, "name": pod.name}


def read_pod(place: Json, pod_uid: str | None) -> PodRef:
    """Read a pod; ``pod_uid`` is the one in the request's path, where there is one."""
    field = place.fields(("uid", "namespace", "name"))
    uid = field["uid"].text(UID, "a pod's uid")
    if pod_uid is not None and uid != pod_uid:
        raise field["uid"].invalid(f"the uid in the request's path, {pod_uid!r:.80}")
    return PodRef(
        uid=uid,
        namespace=field["namespace"].text(NAMESPACE, "a namespace's name"),
        name=field["name"].text(POD_NAME, "a pod's name"),
    )


def read_reason(place: Json) -> Reason | None:
    """Read a reason's code, or null."""
    if place.value is None:
        return None
    if isinstance(place.value, str) and place.value in _REASONS:
        return _REASONS[place.value]
    raise place.invalid("null or a known reason code")


_REASONS = {reason.value: reason for reason in Reason}
