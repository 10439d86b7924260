"""The WSGI application: the page, sessions, the overview, streams and explanations."""

import json
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from insight.access.gate import Gate
from insight.access.sessions import Sessions
from insight.answers import (
    JSON,
    NOT_KEPT,
    Answer,
    RefusalError,
    answer_json,
    answer_refusal,
)
from insight.explanations.explain import Explanations
from insight.metrics import InsightMetrics
from insight.overview.cut import namespaces_of
from insight.overview.shared_texts import SharedTexts, compress_whole
from insight.overview.source import OverviewSource
from insight.readers import COOKIE, Readers
from insight.static_files import StaticFiles
from insight.streams import Streams
from k40s.errors import UnavailableError
from k40s.explanation.json import told_json
from k40s.http.connections.wsgi_adapter import TAKE_OVER
from k40s.units import NS_PER_S, Nanoseconds

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

_NAME = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_POD = re.compile(rf"/v1/namespaces/({_NAME})/pods/({_NAME})/explanation", re.ASCII)
_MANIFEST = re.compile(rf"/v1/namespaces/({_NAME})/explanations", re.ASCII)
_METHODS = {
    "page": ("GET",),
    "session": ("POST", "DELETE"),
    "overview": ("GET",),
    "stream": ("GET",),
    "explanation": ("GET", "POST"),
    "other": ("GET", "POST"),
}
_COOKIE_FORM = "{name}={value}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age={seconds}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the application answers with."""

    gate: Gate
    sessions: Sessions
    readers: Readers
    source: OverviewSource
    texts: SharedTexts
    streams: Streams
    explanations: Explanations
    files: StaticFiles
    metrics: InsightMetrics
    session_lifetime: Nanoseconds
    ready: Callable[[], str | None]


class InsightApp:
    """Every answer says who may keep, frame and read it; every fault is one sentence."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """WSGI."""
        path = environ["PATH_INFO"]
        route = _route_of(path)
        outcome = "failed"
        try:
            answer = self._answer(route, path, environ)
            outcome = "ok"
        except RefusalError as refusal:
            answer, outcome = answer_refusal(refusal), "refused"
        except UnavailableError as error:
            log.warning("request not answered", extra={"route": route, "cause": str(error)})
            outcome = "unavailable"
            text = "the API server or the extender does not answer, try again"
            answer = answer_refusal(RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, text))
        except Exception:  # a fault is answered, and logged with its trace
            log.exception("request failed", extra={"route": route})
            text = "an internal error of insight, which its log describes"
            answer = answer_refusal(RefusalError(HTTPStatus.INTERNAL_SERVER_ERROR, text))
        finally:
            self.parts.metrics.requests[route, outcome].inc()
        return answer.start(start_response)

    def _answer(self, route: str, path: str, environ: "WSGIEnvironment") -> Answer:
        method = environ["REQUEST_METHOD"]
        allowed = _METHODS[route]
        if route == "explanation":
            allowed = ("POST",) if _MANIFEST.fullmatch(path) else ("GET",)
        if method not in allowed:
            text = f"expected {' or '.join(allowed)}"
            headers = (("Allow", ", ".join(allowed)),)
            raise RefusalError(HTTPStatus.METHOD_NOT_ALLOWED, text, headers=headers)
        match route:
            case "page":
                return self._page(path, environ)
            case "session":
                return self._begin(environ) if method == "POST" else self._end(environ)
            case "overview":
                return self._overview(environ)
            case "stream":
                return self._stream(environ)
            case "explanation":
                return self._explanation(path, environ)
            case _:
                raise RefusalError(HTTPStatus.NOT_FOUND, "no such path")

    def _page(self, path: str, environ: "WSGIEnvironment") -> Answer:
        known = environ.get("HTTP_IF_NONE_MATCH", "")
        found = self.parts.files.find(path, known=known, packed=_takes_gzip(environ))
        if found is None:
            raise RefusalError(HTTPStatus.NOT_FOUND, "no such file")
        return found

    def _begin(self, environ: "WSGIEnvironment") -> Answer:
        parts = self.parts
        reader = parts.readers.find_by_token(environ)
        value = parts.sessions.begin(reader.token, reader.user, reviewed=reader.reviewed)
        parts.metrics.sessions.set(len(parts.sessions))
        cookie = _COOKIE_FORM.format(
            name=COOKIE, value=value, seconds=parts.session_lifetime // NS_PER_S
        )
        return answer_json(
            {"user": reader.user.name},
            status=HTTPStatus.CREATED,
            headers=(("Set-Cookie", cookie),),
        )

    def _end(self, environ: "WSGIEnvironment") -> Answer:
        parts = self.parts
        session = parts.readers.find(environ).session
        if session is None:
            raise RefusalError(HTTPStatus.BAD_REQUEST, "expected the cookie of a session")
        parts.sessions.end(session.key)
        parts.metrics.sessions.set(len(parts.sessions))
        cookie = _COOKIE_FORM.format(name=COOKIE, value="", seconds=0)
        return Answer(status=HTTPStatus.NO_CONTENT, headers=(("Set-Cookie", cookie), *NOT_KEPT))

    def _overview(self, environ: "WSGIEnvironment") -> Answer:
        parts = self.parts
        reader = parts.readers.find(environ)
        self._check_ready()
        number, overview = parts.source.current(fresh=True)
        rights = parts.gate.find_rights(reader.user, namespaces_of(overview))
        body = parts.texts.get(number, overview, rights).body(overview.at)
        packed = _takes_gzip(environ)
        encoding = (("Content-Encoding", "gzip"),) if packed else ()
        return Answer(
            body=compress_whole(body) if packed else body,
            headers=(("Content-Type", JSON), ("Vary", "Accept-Encoding"), *NOT_KEPT, *encoding),
        )

    def _stream(self, environ: "WSGIEnvironment") -> Answer:
        parts = self.parts
        reader = parts.readers.find(environ)
        self._check_ready()
        namespaces = namespaces_of(parts.source.current()[1])
        rights = parts.gate.find_rights(reader.user, namespaces)
        environ[TAKE_OVER](parts.streams.begin(reader, rights, packed=_takes_gzip(environ)))
        return Answer()  # dropped: the stream writes its own

    def _explanation(self, path: str, environ: "WSGIEnvironment") -> Answer:
        parts = self.parts
        user = parts.readers.find(environ).user
        pod, manifest = _POD.fullmatch(path), _MANIFEST.fullmatch(path)
        if pod is not None:
            told = parts.explanations.of_pod(user, pod[1], pod[2])
        else:
            namespace = "" if manifest is None else manifest[1]
            told = parts.explanations.of_manifest(user, namespace, lambda: _read_json(environ))
        return answer_json(told_json(told))

    def _check_ready(self) -> None:
        trouble = self.parts.ready()
        if trouble is not None:
            raise RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, trouble)


def _route_of(path: str) -> str:
    match path:
        case "/v1/session":
            return "session"
        case "/v1/overview":
            return "overview"
        case "/v1/stream":
            return "stream"
    if path == "/" or path.startswith("/static/"):
        return "page"
    found = _POD.fullmatch(path) or _MANIFEST.fullmatch(path)
    return "other" if found is None else "explanation"


def _takes_gzip(environ: "WSGIEnvironment") -> bool:
    codings = str(environ.get("HTTP_ACCEPT_ENCODING", "")).lower().split(",")
    return any(one.split(";")[0].strip() == "gzip" and "q=0" not in one for one in codings)


def _read_json(environ: "WSGIEnvironment") -> object:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        text = "expected a Pod's manifest as JSON"
        raise RefusalError(HTTPStatus.BAD_REQUEST, text) from None
