"""The application: bodies, paths, answers, and what is counted."""

import base64
import io
import json
import threading
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.fakes.webhook.reviews import make_body, make_pod
from webhook.admission_review import Review, Verdict
from webhook.app import LARGE, WebhookApp
from webhook.metrics import WebhookMetrics
from webhook.validation import validate

BAD = make_body("Pod", make_pod({"k40s.io/criticality": "HIGH"}))


class Caller:
    """Calls the application as gunicorn does."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        decisions = {"validate": validate, "mutate": self.decide}
        self.app = WebhookApp(decisions, metrics=WebhookMetrics(self.registry))
        self.verdict: Verdict | None = Verdict(patch=({"op": "add", "path": "/x", "value": 1},))

    def decide(self, _review: Review) -> Verdict:
        if self.verdict is None:
            raise RuntimeError("a bug")
        return self.verdict

    def call(self, body: bytes, path: str = "/validate", method: str = "POST") -> tuple[str, Any]:
        status: list[str] = []
        environ = {
            "PATH_INFO": path,
            "REQUEST_METHOD": method,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
        reply = b"".join(self.app(environ, lambda line, _headers: status.append(line)))  # type: ignore[arg-type,func-returns-value]  # the short form of WSGI
        return status[0], json.loads(reply) if status[0] == "200 OK" else reply.decode()

    def count(self, review: str, outcome: str) -> float | None:
        labels = {"review": review, "outcome": outcome}
        return self.registry.get_sample_value("k40s_webhook_reviews_total", labels)


@pytest.fixture
def caller() -> Caller:
    return Caller()


def test_a_refusal_has_the_requests_uid_and_a_message(caller: Caller) -> None:
    status, answer = caller.call(BAD)

    assert status == "200 OK"
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert (response["uid"], response["allowed"]) == ("u-1", False)
    assert response["status"]["code"] == 422
    assert response["status"]["message"].startswith("pod.invalid-annotation: ")
    assert caller.count("validate", "refused") == 1


def test_a_patch_is_base64_of_a_json_patch(caller: Caller) -> None:
    _, answer = caller.call(BAD, "/mutate")

    response = answer["response"]
    assert (response["allowed"], response["patchType"]) == (True, "JSONPatch")
    assert json.loads(base64.b64decode(response["patch"])) == [
        {"op": "add", "path": "/x", "value": 1}
    ]
    assert caller.count("mutate", "patched") == 1


def test_a_warning_is_passed_on_and_counted(caller: Caller) -> None:
    caller.verdict = Verdict(warnings=("one", "two"))

    _, answer = caller.call(BAD, "/mutate")

    assert answer["response"]["warnings"] == ["one", "two"]
    assert "patch" not in answer["response"]
    assert caller.registry.get_sample_value("k40s_webhook_warnings_total") == 2
    assert caller.count("mutate", "allowed") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"apiVersion": "admission.k8s.io/v1beta1"}',
        b'{"apiVersion": "admission.k8s.io/v1", "request": null}',
        make_body("Pod", None),
        make_body("Pod", []),
        make_body("Pod", {}, uid=""),
        make_body("Pod", {}, uid=5),
        make_body("Pod", {}, kind="Pod"),
        make_body("Pod", {}, kind={"group": "", "kind": None}),
        make_body("Pod", {}, former="x"),
    ],
)
def test_what_is_no_review_is_answered_400(caller: Caller, body: bytes) -> None:
    status, text = caller.call(body)

    assert status == "400 Bad Request"
    assert text.startswith("request body")
    assert caller.count("validate", "failed") == 1


def test_a_bug_is_answered_500_and_allows_nothing(caller: Caller) -> None:
    caller.verdict = None

    status, _ = caller.call(BAD, "/mutate")

    assert status == "500 Internal Server Error"
    assert caller.count("mutate", "failed") == 1


def test_there_are_two_paths_and_one_method(caller: Caller) -> None:
    assert caller.call(BAD, "/other")[0] == "404 Not Found"
    assert caller.call(BAD, "/validate", "GET")[0] == "405 Method Not Allowed"


@pytest.mark.parametrize(("padding", "together"), [(LARGE, 0), (0, 2)], ids=["large", "small"])
def test_large_bodies_take_memory_one_after_another(padding: int, together: int) -> None:
    """Two reviews at once; each waits for the other a moment, which large ones do in vain."""
    meeting, met = threading.Barrier(2), []

    def decide(_review: Review) -> Verdict:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(timeout=0.2 if padding else 60)
            met.append(1)
        return Verdict()

    app = WebhookApp({"validate": decide}, metrics=WebhookMetrics(CollectorRegistry()))
    body = make_body("Pod", make_pod({"note": "x" * padding}))

    def call() -> None:
        environ = {
            "PATH_INFO": "/validate",
            "REQUEST_METHOD": "POST",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
        app(environ, lambda _line, _headers: lambda _data: None)

    callers = [threading.Thread(target=call) for _ in range(2)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()

    assert len(met) == together
