"""HTTP answers as values, with the headers that every answer of this process has."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from k40s.errors import K40sError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

JSON = "application/json"
Headers = tuple[tuple[str, str], ...]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
SECURITY: Headers = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Scripts and styles come from this server's files alone; no other page frames or reads it."""
NOT_KEPT: Headers = (("Cache-Control", "no-store"),)


class RefusalError(K40sError):
    """A request that is refused, with one sentence for the caller."""

    def __init__(self, status: HTTPStatus, text: str, *, headers: Headers = ()) -> None:
        self.status = status
        self.headers = headers
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole response."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    headers: Headers = ()

    def start(self, start_response: "StartResponse") -> Iterable[bytes]:
        """Write it by WSGI."""
        headers = [*self.headers, *SECURITY]
        if self.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            headers.append(("Content-Length", str(len(self.body))))
        start_response(f"{self.status.value} {self.status.phrase}", headers)
        return [self.body]


def answer_json(
    value: object, *, status: HTTPStatus = HTTPStatus.OK, headers: Headers = ()
) -> Answer:
    """A JSON document, which nobody keeps."""
    body = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    return Answer(status=status, body=body, headers=(("Content-Type", JSON), *NOT_KEPT, *headers))


def answer_refusal(error: RefusalError) -> Answer:
    """``{"error": "one sentence"}``."""
    return answer_json({"error": str(error)}, status=error.status, headers=error.headers)
