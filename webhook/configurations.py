"""Keeps this replica's CA certificate in the two webhook configurations, and nothing else of them.

Read again at each look, so a configuration that was applied again gets its certificate again.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from k40s.errors import UnavailableError
from k40s.kube.objects.fields import Fields, JsonObject, version
from k40s.kube.transport import STRATEGIC_MERGE_PATCH, ConflictError, NotFoundError
from k40s.units import NS_PER_S, Clock
from webhook.bundle import decode_bundle, encode_bundle, next_bundle, read_certificates
from webhook.metrics import WebhookMetrics

log = logging.getLogger(__name__)

RETIRE_AFTER_NS = 600 * NS_PER_S
"""Time from which another replica's CA counts as stale: kubelet renews a Secret in two minutes."""
_API = "/apis/admissionregistration.k8s.io/v1"


class Api(Protocol):
    """The part of ``ApiTransport`` that is used."""

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = ...
    ) -> Mapping[str, object]:
        """Return the object that a 2xx answer carries."""
        ...


class CertificateKeeper:
    """``look`` is called by one thread."""

    def __init__(
        self,
        api: Api,
        *,
        authority: Path,
        validating: str,
        mutating: str,
        metrics: WebhookMetrics,
        clock: Clock,
    ) -> None:
        """``authority`` is our CA's file; "" as a configuration's name leaves that alone."""
        self._api = api
        self._authority = authority
        self._paths = [
            f"{_API}/{kind}/{name}"
            for kind, name in (
                ("validatingwebhookconfigurations", validating),
                ("mutatingwebhookconfigurations", mutating),
            )
            if name
        ]
        self._metrics = metrics
        self._clock = clock
        self._seen: dict[str, int] = {}
        self.current = False
        """Whether every configuration had our certificate once."""

    def look(self) -> None:
        """Write what is missing. Raises ``UnavailableError``; the next look tries again."""
        own = self._own()
        present: set[str] = set()
        for path in self._paths:
            present |= self._keep(path, own)
        self._seen = {one: since for one, since in self._seen.items() if one in present}
        self.current = True

    def _own(self) -> tuple[str, ...]:
        try:
            own = read_certificates(self._authority.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise UnavailableError(f"CA certificate: {error}") from error
        if not own:
            raise UnavailableError(f"CA certificate: {self._authority} holds none")
        return own

    def _keep(self, path: str, own: Sequence[str]) -> set[str]:
        """Look at one configuration; returns others' certificates in it."""
        try:
            found = self._api.request("GET", path)
        except NotFoundError:
            return set()  # the operator does without
        changes: list[JsonObject] = []
        others: set[str] = set()
        fields = Fields()
        for _, hook in fields.parts("webhooks", "webhooks", found.get("webhooks")):
            client = fields.part("clientConfig", "clientConfig", hook.get("clientConfig"))
            present = decode_bundle(client.get("caBundle"))
            others |= set(present) - set(own)
            wanted = next_bundle(present, own, self._stale(present, own))
            if wanted != present:
                bundle = {"caBundle": encode_bundle(wanted)}
                changes.append({"name": hook.get("name"), "clientConfig": bundle})
        if changes:
            self._write(path, version(found), changes)
        return others

    def _stale(self, present: Sequence[str], own: Sequence[str]) -> set[str]:
        now = self._clock()
        others = [one for one in present if one not in own]
        return {one for one in others if now - self._seen.setdefault(one, now) >= RETIRE_AFTER_NS}

    def _write(self, path: str, found: str, changes: Sequence[JsonObject]) -> None:
        body = {"metadata": {"resourceVersion": found}, "webhooks": list(changes)}
        try:
            self._api.request("PATCH", path, body, content_type=STRATEGIC_MERGE_PATCH)
        except ConflictError as error:
            raise UnavailableError(f"{path}: another replica was faster") from error
        self._metrics.certificates_written.inc()
        log.info("CA certificate written", extra={"path": path})
