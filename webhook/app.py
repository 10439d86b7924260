"""The WSGI application: POST /validate and /mutate, and nothing else."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

from k40s.errors import InvalidInputError
from webhook.admission_review import Review, Verdict, format_answer, parse_review
from webhook.metrics import WebhookMetrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_log = logging.getLogger(__name__)

LARGE = 256 << 10
"""Bytes from which a body is read one after another: as values it takes up to 32 times its size,
and anybody may send some at once."""

Decide = Callable[[Review], Verdict]
"""A review's decision; pure."""


class WebhookApp:
    """Answers each review by its function, in ``decisions`` by the name that the path has.

    What cannot be read is answered 400, and an unforeseen error 500: then the configuration's
    failurePolicy decides.
    """

    def __init__(self, decisions: Mapping[str, Decide], *, metrics: WebhookMetrics) -> None:
        self._decisions = {f"/{name}": (name, decide) for name, decide in decisions.items()}
        self._metrics = metrics
        self._large = threading.Lock()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """WSGI."""
        found = self._decisions.get(environ["PATH_INFO"])
        if found is None:
            status, reply = "404 Not Found", b"no such path"
        elif environ["REQUEST_METHOD"] != "POST":
            status, reply = "405 Method Not Allowed", b"expected POST"
        else:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            status, reply = self._answer(*found, environ["wsgi.input"].read(length))
        kind = "application/json" if status.startswith("200") else "text/plain; charset=utf-8"
        headers = [("Content-Type", kind), ("Content-Length", str(len(reply)))]
        start_response(status, headers)
        return [reply]

    def _answer(self, name: str, decide: Decide, body: bytes) -> tuple[str, bytes]:
        started = time.perf_counter()
        outcome = "failed"
        try:
            with self._large if len(body) > LARGE else nullcontext():
                review = parse_review(body)
                verdict = decide(review)
                reply = format_answer(review.uid, verdict)
                del review  # its memory, before the next one takes some
            outcome = _outcome(verdict)
            self._metrics.warnings.inc(len(verdict.warnings))
        except InvalidInputError as error:
            return "400 Bad Request", str(error).encode(errors="replace")
        except Exception:  # noqa: BLE001  # a fault is answered, and logged with its trace
            _log.exception("review failed", extra={"review": name})
            return "500 Internal Server Error", b"internal error of the k40s webhook"
        finally:
            self._metrics.reviews[name, outcome].inc()
            self._metrics.seconds[name].observe(time.perf_counter() - started)
        return "200 OK", reply


def _outcome(verdict: Verdict) -> str:
    if verdict.refusal:
        return "refused"
    return "patched" if verdict.patch else "allowed"
