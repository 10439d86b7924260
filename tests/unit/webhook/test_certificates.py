"""CA certificates in the webhook configurations: added at once, removed when they are stale."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError, NotFoundError
from webhook.bundle import MAX_CERTIFICATES, next_bundle, read_certificates
from webhook.configurations import RETIRE_AFTER_NS, CertificateKeeper
from webhook.metrics import WebhookMetrics


def pem(text: str) -> str:
    body = base64.b64encode(text.encode()).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"


A, B, C = pem("a"), pem("b"), pem("c")
ROOT = "/apis/admissionregistration.k8s.io/v1"
VALIDATING = f"{ROOT}/validatingwebhookconfigurations/v"
MUTATING = f"{ROOT}/mutatingwebhookconfigurations/m"


class FakeApi:
    """Two configurations, of one and of two webhooks."""

    def __init__(self) -> None:
        self.bundles: dict[str, dict[str, Any]] = {
            VALIDATING: {"one": None, "two": None},
            MUTATING: {"three": None},
        }
        self.writes: list[str] = []
        self.conflict = False

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = ""
    ) -> Mapping[str, object]:
        if path not in self.bundles:
            raise NotFoundError(path)
        if method == "PATCH":
            assert content_type == "application/strategic-merge-patch+json"
            assert isinstance(body, dict)
            assert body["metadata"] == {"resourceVersion": "7"}
            if self.conflict:
                raise ConflictError(path)
            for hook in body["webhooks"]:
                self.bundles[path][hook["name"]] = hook["clientConfig"]["caBundle"]
            self.writes.append(path)
        return {
            "metadata": {"resourceVersion": "7"},
            "webhooks": [
                {"name": name, "clientConfig": {"caBundle": bundle}}
                for name, bundle in self.bundles[path].items()
            ],
        }

    def certificates(self) -> set[tuple[str, ...]]:
        return {
            read_certificates(base64.b64decode(bundle or "").decode())
            for hooks in self.bundles.values()
            for bundle in hooks.values()
        }


class Replica:
    """A replica of the webhook, whose CA file has one certificate."""

    def __init__(self, api: FakeApi, file: Path, certificate: str) -> None:
        self.file = file
        self.now = 0
        self.serve_with(certificate)
        self.keeper = CertificateKeeper(
            api,
            authority=file,
            validating="v",
            mutating="m",
            metrics=WebhookMetrics(CollectorRegistry()),
            clock=lambda: self.now,
        )

    def serve_with(self, certificate: str) -> None:
        self.file.write_text(certificate + "\n")

    def look(self, seconds: int = 0) -> None:
        self.now += seconds * 1_000_000_000
        self.keeper.look()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def test_every_webhook_gets_the_certificate_once(api: FakeApi, tmp_path: Path) -> None:
    replica = Replica(api, tmp_path / "ca", A)
    assert not replica.keeper.current

    replica.look()
    replica.look()

    assert api.certificates() == {(A,)}
    assert api.writes == [VALIDATING, MUTATING]
    assert replica.keeper.current


def test_replicas_that_are_renewed_one_after_the_other_keep_each_others(
    api: FakeApi, tmp_path: Path
) -> None:
    first, second = (Replica(api, tmp_path / name, A) for name in "12")
    first.look()

    first.serve_with(B)
    first.look()
    second.look()
    assert api.certificates() == {(B, A)}
    second.serve_with(B)
    second.look()
    first.look(RETIRE_AFTER_NS // 1_000_000_000)

    assert api.certificates() == {(B,)}
    assert len(api.writes) == 6


def test_a_configuration_that_is_gone_is_no_failure_and_one_that_returns_is_filled(
    api: FakeApi, tmp_path: Path
) -> None:
    replica = Replica(api, tmp_path / "ca", A)
    gone = api.bundles.pop(MUTATING)

    replica.look()
    api.bundles[MUTATING] = gone
    replica.look()

    assert api.certificates() == {(A,)}


@pytest.mark.parametrize("content", ["", "half of a -----BEGIN CERTIFICATE-----", "ä"])
def test_a_file_that_is_no_certificate_changes_nothing(
    api: FakeApi, tmp_path: Path, content: str
) -> None:
    replica = Replica(api, tmp_path / "ca", A)
    replica.look()
    replica.serve_with(content)

    with pytest.raises(UnavailableError, match="CA certificate"):
        replica.look()

    assert api.certificates() == {(A,)}


def test_who_was_slower_tries_again(api: FakeApi, tmp_path: Path) -> None:
    replica = Replica(api, tmp_path / "ca", A)
    api.conflict = True
    with pytest.raises(UnavailableError, match="faster"):
        replica.look()
    api.conflict = False

    replica.look()

    assert api.certificates() == {(A,)}


def test_what_is_no_bundle_is_replaced(api: FakeApi, tmp_path: Path) -> None:
    api.bundles[MUTATING]["three"] = "no base64 ä"

    Replica(api, tmp_path / "ca", A).look()

    assert api.certificates() == {(A,)}


def test_a_bundle_is_bounded_and_left_alone_where_it_suffices() -> None:
    many = [pem(str(number)) for number in range(9)]

    assert next_bundle(many, (A,), ()) == (A, *many[: MAX_CERTIFICATES - 1])
    assert next_bundle((B, A), (A,), ()) == (B, A)
    assert next_bundle((B, A, C), (A,), {B}) == (A, C)
