"""One call of a node daemon's API, and what becomes of an answer that is none."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from k40s.errors import UnavailableError
from k40s.http.client import LateError, UnreachableError, UntrustedError
from k40s.reasons import Reason
from k40s.units import Nanoseconds

WITHDRAWN = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
"""Answers to a withdrawal. 409: the pod is bound there, and keeps what it holds."""


class DaemonError(UnavailableError):
    """No valid answer from a node's daemon. ``reason`` names the cause.

    ``certain``: nothing has changed at the node; otherwise the request may have been served.
    """

    def __init__(self, text: str, *, reason: Reason, certain: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.certain = certain


class Requests(Protocol):
    """The part of ``HttpClient`` that is used."""

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        timeout: Nanoseconds | None = None,
    ) -> tuple[int, bytes]:
        """Return (status, body). Raises ``UnavailableError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReasons:
    """The reasons by which one daemon's failures are reported.

    ``forbids`` stands for status 403, ``invalid`` for others below 500, and ``failed`` for those
    from 500 whose answer names no reason.
    """

    silent: Reason
    untrusted: Reason
    late: Reason
    forbids: Reason
    invalid: Reason
    failed: Reason


class NodeCalls:
    """Calls any endpoint of one daemon's kind. ``call`` raises ``DaemonError``."""

    def __init__(self, client: Requests, reasons: CallReasons) -> None:
        self._client = client
        self._reasons = reasons
        self._failures: dict[type[UnavailableError], tuple[Reason, bool]] = {
            UnreachableError: (reasons.silent, True),
            UntrustedError: (reasons.untrusted, True),
            LateError: (reasons.late, False),
        }

    def call(
        self,
        method: str,
        url: str,
        body: bytes | None,
        *,
        good: tuple[HTTPStatus, ...],
        timeout: Nanoseconds | None = None,
    ) -> bytes:
        """The body of an answer whose status is among the ``good``."""
        try:
            status, answer = self._client.request(method, url, body, timeout=timeout)
        except UnavailableError as error:
            reason, certain = next(
                (found for kind, found in self._failures.items() if isinstance(error, kind)),
                (self._reasons.silent, False),
            )
            raise DaemonError(str(error), reason=reason, certain=certain) from error
        if status not in good:
            raise DaemonError(
                f"{method} {url}: status {status}: {answer[:200]!r}",
                reason=self._reason_of(status, answer),
                certain=status != HTTPStatus.INTERNAL_SERVER_ERROR,
            )
        return answer

    def _reason_of(self, status: int, body: bytes) -> Reason:
        """The reason in the daemon's answer, or the one that its status stands for."""
        if status == HTTPStatus.FORBIDDEN:
            return self._reasons.forbids
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._reasons.invalid
        try:
            return Reason(json.loads(body)["reason"])
        except (ValueError, LookupError, TypeError, RecursionError):
            return self._reasons.failed
