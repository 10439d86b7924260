"""Leader election by a Lease, as client-go does it: one process of several acts.

The clocks of two processes are never compared: a holder has lost the Lease when its record has not
changed for the Lease's duration, as seen by the observer's own monotonic clock. Every write is
conditional on the version that was read. A leader stops to act before another one can begin: it
counts its term from before it sent the renewal, and gives up at two thirds of the duration.

What a leader has to leave to the next one can be kept in annotations of the Lease.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from k40s.errors import UnavailableError
from k40s.kube.objects.fields import Fields
from k40s.kube.transport import MERGE_PATCH, ApiTransport, ConflictError, NotFoundError
from k40s.units import NS_PER_S, Clock, Nanoseconds, WallClock

log = logging.getLogger(__name__)

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LockState:
    """The Lease at one version. ``renewed`` is text: it is compared, never computed with."""

    version: str
    holder: str
    renewed: str
    duration: Nanoseconds
    transitions: int
    annotations: Mapping[str, str]


class Lock(Protocol):
    """A Lease that is taken and renewed; implemented by ``LeaseLock``."""

    def read(self) -> LockState | None:
        """The Lease, None when there is none. Raises ``UnavailableError``."""
        ...

    def write(
        self,
        former: LockState | None,
        *,
        holder: str,
        duration: Nanoseconds,
        annotations: Mapping[str, str] | None = None,
    ) -> LockState:
        """Renew for ``holder``, or create the Lease when there was none.

        ``annotations`` are set beside those it has. Raises ``ConflictError`` when it is no longer
        at the version of ``former``, or exists already; and ``UnavailableError``.
        """
        ...


class LeaseLock:
    """A Lease at the API server."""

    def __init__(
        self, api: ApiTransport, *, namespace: str, name: str, now: WallClock | None = None
    ) -> None:
        self._api = api
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace, self._name = namespace, name
        self._now = now or (lambda: datetime.now(UTC))

    def read(self) -> LockState | None:
        """See ``Lock``."""
        try:
            return _read(self._api.request("GET", f"{self._leases}/{self._name}"))
        except NotFoundError:
            return None

    def write(
        self,
        former: LockState | None,
        *,
        holder: str,
        duration: Nanoseconds,
        annotations: Mapping[str, str] | None = None,
    ) -> LockState:
        """See ``Lock``."""
        time = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, object] = {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, -(-duration // NS_PER_S)),
            "renewTime": time,
        }
        metadata: dict[str, object] = {"annotations": dict(annotations)} if annotations else {}
        if former is None:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": metadata | {"name": self._name, "namespace": self._namespace},
                "spec": spec | {"acquireTime": time, "leaseTransitions": 0},
            }
            return _read(self._api.request("POST", self._leases, body))
        if former.holder != holder:
            spec |= {"acquireTime": time, "leaseTransitions": former.transitions + 1}
        change = {"metadata": metadata | {"resourceVersion": former.version}, "spec": spec}
        path = f"{self._leases}/{self._name}"
        try:
            return _read(self._api.request("PATCH", path, change, content_type=MERGE_PATCH))
        except NotFoundError as error:
            raise ConflictError(str(error)) from error


class LeaderElection:
    """``tick`` takes and renews the lock; ``leading`` says whether this process may act now."""

    def __init__(self, lock: Lock, *, identity: str, duration: Nanoseconds, clock: Clock) -> None:
        self._lock = lock
        self._identity = identity
        self._duration = duration
        self._clock = clock
        self._guard = threading.Lock()
        self._observed: tuple[str, str] | None = None
        self._observed_at = clock()
        self._until: int | None = None
        self._state: LockState | None = None

    @property
    def leading(self) -> bool:
        """Whether this process holds the lock for certain."""
        until = self._until
        return until is not None and self._clock() < until

    @property
    def annotations(self) -> Mapping[str, str]:
        """The lock's annotations, as last read or written."""
        state = self._state
        return {} if state is None else state.annotations

    def tick(self) -> None:
        """Take the lock if it is free, renew it if it is held. Raises ``UnavailableError``."""
        with self._guard:
            led = self.leading
            try:
                self._renew()
            finally:
                if self.leading and not led:
                    log.info("leadership gained", extra={"identity": self._identity})
                elif led and not self.leading:
                    log.warning("leadership lost", extra={"identity": self._identity})

    def annotate(self, annotations: Mapping[str, str]) -> None:
        """Write annotations of the lock, as its holder.

        Raises ``ConflictError`` when this process is not the leader, and ``UnavailableError``.
        """
        with self._guard:
            for _ in range(_TRIES):
                began, state = self._clock(), self._lock.read()
                if not self.leading or state is None or state.holder != self._identity:
                    break
                try:
                    written = self._lock.write(
                        state,
                        holder=self._identity,
                        duration=self._duration,
                        annotations=annotations,
                    )
                except ConflictError:
                    continue
                self._hold(written, began)
                return
            raise ConflictError(f"{self._identity} is not the leader")

    def release(self) -> None:
        """Give the lock up, so that another process need not wait. Raises ``UnavailableError``."""
        with self._guard:
            state, led, self._until = self._state, self.leading, None
            if led and state is not None:
                self._lock.write(state, holder="", duration=self._duration)

    def _renew(self) -> None:
        began, state = self._clock(), self._lock.read()
        if state is not None and not self._is_free(state):
            self._until, self._state = None, state
            return
        try:
            written = self._lock.write(state, holder=self._identity, duration=self._duration)
        except ConflictError:  # another one was faster
            self._until = None
            return
        self._hold(written, began)

    def _hold(self, state: LockState, began: int) -> None:
        self._state = state
        self._until = began + 2 * self._duration // 3

    def _is_free(self, state: LockState) -> bool:
        if state.holder in ("", self._identity):
            return True
        seen = (state.holder, state.renewed)
        if seen != self._observed:
            self._observed, self._observed_at = seen, self._clock()
            return False
        return self._clock() - self._observed_at >= state.duration


def _read(item: Mapping[str, Any]) -> LockState:
    """A Lease; a duration that cannot be read is that of an hour: nobody takes it over soon."""
    fields = Fields()
    meta = fields.part("metadata", "metadata", item.get("metadata"))
    spec = fields.part("spec", "spec", item.get("spec"))
    version = fields.text("version", "metadata.resourceVersion", meta.get("resourceVersion"))
    if not version:
        raise UnavailableError("the Lease of the leader has no version")
    seconds = spec.get("leaseDurationSeconds")
    transitions = spec.get("leaseTransitions")
    return LockState(
        version=version,
        holder=fields.text("holder", "spec.holderIdentity", spec.get("holderIdentity")),
        renewed=fields.text("renewed", "spec.renewTime", spec.get("renewTime")),
        duration=Nanoseconds((seconds if isinstance(seconds, int) else 3600) * NS_PER_S),
        transitions=transitions if isinstance(transitions, int) else 0,
        annotations=fields.texts(
            "annotations",
            "metadata.annotations",
            fields.part("annotations", "metadata.annotations", meta.get("annotations")),
        ),
    )
