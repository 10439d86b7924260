"""Who makes a request: by a bearer token, or by the cookie of a session."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from insight.access.gate import Gate, TooManyAttemptsError
from insight.access.reviews import User
from insight.access.sessions import Session, Sessions
from insight.answers import RefusalError
from k40s.http.connections.eviction import source_of
from k40s.units import NS_PER_S, Clock

COOKIE = "__Host-k40s-session"
"""By its prefix a browser takes it from this host alone, and not from one of its domain."""
_SCHEME = "bearer "
_UNREVIEWED = 90 * NS_PER_S
"""A session is not served whose token the API server has not accepted for so long."""
_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="k40s"'),)
_RETRY = (("Retry-After", "60"),)
_SAFE = ("GET", "HEAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Whoever asks. ``session`` is None for a bearer token, which is ``token`` then.

    ``reviewed`` is when the API server last accepted the token.
    """

    user: User
    reviewed: int
    session: Session | None = None
    token: str = ""

    def __repr__(self) -> str:
        return f"Reader(user={self.user.name!r})"


class Readers:
    """Finds the reader of a request, or refuses it. Raises ``UnavailableError`` as well."""

    def __init__(self, gate: Gate, sessions: Sessions, *, clock: Clock) -> None:
        self._gate = gate
        self._sessions = sessions
        self._clock = clock

    def find(self, environ: Mapping[str, Any]) -> Reader:
        """The reader. Raises ``RefusalError``: 401, 403 from another site, 429."""
        check_origin(environ)
        if "HTTP_AUTHORIZATION" in environ:
            return self.find_by_token(environ)
        session = self._sessions.find(_cookie(environ))
        if session is None:
            raise _unknown("expected a token, or the cookie of a session that has not ended")
        if self._clock() - session.reviewed >= _UNREVIEWED:
            text = "the API server has not confirmed the session's token for more than a minute"
            raise RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, text)
        return Reader(user=session.user, reviewed=session.reviewed, session=session)

    def find_by_token(self, environ: Mapping[str, Any]) -> Reader:
        """The reader of the token in the header Authorization. Raises like ``find``."""
        check_origin(environ)
        header = str(environ.get("HTTP_AUTHORIZATION", ""))
        if header[: len(_SCHEME)].lower() != _SCHEME:
            raise _unknown('expected the header "Authorization: Bearer TOKEN"')
        token = header[len(_SCHEME) :].strip()
        try:
            found = self._gate.find_user(token, source=_source(environ))
        except TooManyAttemptsError as error:
            raise RefusalError(HTTPStatus.TOO_MANY_REQUESTS, str(error), headers=_RETRY) from error
        if found is None:
            raise _unknown("the API server does not accept this token")
        return Reader(user=found.user, reviewed=found.at, token=token)


def check_origin(environ: Mapping[str, Any]) -> None:
    """Refuse what another site's page sends. Raises ``RefusalError``.

    A browser says where a request comes from; with a cookie, a change has to come from this server.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE", "same-origin")
    origin = environ.get("HTTP_ORIGIN")
    ours = f"https://{environ.get('HTTP_HOST', '')}"
    by_cookie = "HTTP_AUTHORIZATION" not in environ
    if site not in ("same-origin", "none") or (origin is not None and origin != ours):
        raise RefusalError(HTTPStatus.FORBIDDEN, "the request comes from another site's page")
    if by_cookie and origin is None and environ["REQUEST_METHOD"] not in _SAFE:
        raise RefusalError(HTTPStatus.FORBIDDEN, "expected the header Origin beside the cookie")


def _source(environ: Mapping[str, Any]) -> str:
    """The client's address: of IPv6 its /64, of which one host has all."""
    try:
        return source_of((str(environ.get("REMOTE_ADDR", "")),))
    except ValueError:
        return ""


def _cookie(environ: Mapping[str, Any]) -> str:
    """The session's id, whatever cookies others have set: a host's ports share them."""
    for one in str(environ.get("HTTP_COOKIE", "")).split(";"):
        name, _, value = one.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _unknown(text: str) -> RefusalError:
    return RefusalError(HTTPStatus.UNAUTHORIZED, text, headers=_CHALLENGE)
