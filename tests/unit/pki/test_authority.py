import base64
import socket
import ssl
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from cli.main import main
from k40s.errors import InvalidInputError
from k40s.http.tls import TlsFiles, client_context, server_context
from k40s.pki.authority import (
    Identity,
    issue,
    make_authority,
    read_validity,
    renew_authority,
)
from k40s.pki.directory import CertificateDirectory
from k40s.pki.validity import parse_validity
from tests.unit.conftest import NamedFiles, unpack

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SECRETS = [
    "k40s-extender-tls",
    "k40s-extender-client-tls",
    "k40s-scheduler-tls",
    "k40s-controller-client-tls",
    "k40s-insight-tls",
    "k40s-insight-client-tls",
    "k40s-webhook-tls",
    "k40s-rubicante-tls",
    "k40s-scarmiglione-tls",
]


def shake_hands(server: TlsFiles, client: TlsFiles, name: str) -> str:
    """Return the client's common name as the server saw it; ssl.SSLError if either refuses."""
    ours, theirs = socket.socketpair()
    seen: list[str] = []

    def accept() -> None:
        try:
            with server_context(server).wrap_socket(ours, server_side=True) as connection:
                subject: Any = (connection.getpeercert() or {})["subject"]
                seen.extend(value for rdn in subject for _, value in rdn)
                connection.sendall(b"x")
        except OSError:
            ours.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        with client_context(client).wrap_socket(theirs, server_hostname=name) as connection:
            connection.recv(1)
    finally:
        theirs.close()
        thread.join(timeout=120)
    return "".join(seen)


def directory(path: Path, namespace: str = "k40s-system") -> CertificateDirectory:
    return CertificateDirectory(path, namespace)


def issue_at(path: Path, now: datetime, *, days: int = 90) -> list[str]:
    return directory(path).issue(lifetime=days * DAY, authority_lifetime=3650 * DAY, now=now)


def certificate_of(path: Path, secret: str) -> x509.Certificate:
    data = yaml.safe_load((path / f"{secret}.yaml").read_text())["data"]
    return x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"]))


@pytest.mark.parametrize(
    ("server", "client", "name", "seen"),
    [
        (
            "k40s-extender-tls",
            "k40s-scheduler-tls",
            "k40s-extender.k40s-system.svc",
            "k40s-scheduler",
        ),
        (
            "k40s-extender-tls",
            "k40s-controller-client-tls",
            "k40s-extender",
            "k40s-controller",
        ),
        (
            "k40s-rubicante-tls",
            "k40s-extender-client-tls",
            "rubicante.k40s-system.svc",
            "k40s-extender",
        ),
    ],
)
def test_the_processes_trust_each_other(
    files: NamedFiles, server: str, client: str, name: str, seen: str
) -> None:
    assert shake_hands(files(server), files(client), name) == seen


def test_a_client_refuses_a_server_of_another_name(files: NamedFiles) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(
            files("k40s-rubicante-tls"),
            files("k40s-scheduler-tls"),
            "k40s-extender.k40s-system.svc",
        )


def test_a_client_refuses_a_client_that_poses_as_a_server(files: NamedFiles) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
        shake_hands(
            files("k40s-scheduler-tls"), files("k40s-extender-client-tls"), "k40s-scheduler"
        )


def test_a_client_refuses_a_server_of_another_authority(
    files: NamedFiles, other_authority: Path, tmp_path: Path
) -> None:
    foreign = unpack(other_authority / "k40s-extender-tls.yaml", tmp_path / "foreign")

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(foreign, files("k40s-scheduler-tls"), "k40s-extender.k40s-system.svc")


def test_an_authority_can_sign_no_further_authority() -> None:
    authority = x509.load_pem_x509_certificate(
        make_authority(name="CA", lifetime=DAY, now=NOW).certificate
    )

    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage)

    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert (usage.value.key_cert_sign, usage.value.digital_signature) == (True, False)


@pytest.mark.parametrize(
    ("names", "purpose"),
    [((), ExtendedKeyUsageOID.CLIENT_AUTH), (("a.svc",), ExtendedKeyUsageOID.SERVER_AUTH)],
)
def test_a_certificate_has_one_purpose(
    names: tuple[str, ...], purpose: x509.ObjectIdentifier
) -> None:
    authority = make_authority(name="CA", lifetime=9 * DAY, now=NOW)

    pair = issue(authority, Identity(common_name="x", dns_names=names), lifetime=DAY, now=NOW)

    certificate = x509.load_pem_x509_certificate(pair.certificate)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(usage.value) == [purpose]
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


def test_a_certificate_does_not_outlive_its_authority() -> None:
    authority = make_authority(name="CA", lifetime=DAY, now=NOW)

    pair = issue(authority, Identity(common_name="x"), lifetime=9 * DAY, now=NOW)

    assert read_validity(pair.certificate).not_after == NOW + DAY


def test_an_expired_authority_issues_nothing() -> None:
    authority = make_authority(name="CA", lifetime=DAY, now=NOW)

    with pytest.raises(InvalidInputError, match="CA certificate: found 'expired"):
        issue(authority, Identity(common_name="x"), lifetime=DAY, now=NOW + 2 * DAY)


def test_a_renewed_authority_still_vouches_for_what_it_signed(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old = make_authority(name="CA", lifetime=2 * DAY, now=now - DAY)
    new = renew_authority(old, lifetime=9 * DAY, now=now)
    server = issue(old, Identity(common_name="s", dns_names=("s",)), lifetime=DAY, now=now)
    client = issue(new, Identity(common_name="c"), lifetime=DAY, now=now)
    files = {}
    for name, pair in (("server", server), ("client", client)):
        files[name] = TlsFiles.in_directory(tmp_path / name)
        (tmp_path / name).mkdir()
        files[name].cert.write_bytes(pair.certificate)
        files[name].key.write_bytes(pair.key)
        files[name].ca.write_bytes((old if name == "server" else new).certificate)

    assert shake_hands(files["server"], files["client"], "s") == "c"


def test_keeps_the_authoritys_key_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "out"
    issue_at(path, NOW)

    key = (path / "ca.key").read_bytes()

    assert stat.S_IMODE((path / "ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for secret in SECRETS:
        file = path / f"{secret}.yaml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        data = yaml.safe_load(file.read_text())["data"]
        assert set(data) == {"tls.crt", "tls.key", "ca.crt"}
        assert key not in map(base64.b64decode, data.values())
    assert yaml.safe_load((path / "kustomization.yaml").read_text())["resources"] == [
        *(f"{secret}.yaml" for secret in SECRETS),
        "k40s-certificates.yaml",
    ]


def test_tells_who_may_read_no_secret_until_when_each_is_valid(tmp_path: Path) -> None:
    issue_at(tmp_path, NOW)

    told = yaml.safe_load((tmp_path / "k40s-certificates.yaml").read_text())

    assert (told["kind"], set(told["data"])) == ("ConfigMap", {"ca.crt", *SECRETS})
    for one in directory(tmp_path).status():
        assert one.validity is not None
        begin, end = parse_validity(told["data"][one.name], source="x")
        assert (begin, end) == (one.validity.not_before, one.validity.not_after)


@pytest.mark.parametrize("text", ["", "2026-01-01", "2026-01-01/2027-01-01", "a/b"])
def test_a_validity_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="two times in RFC 3339"):
        parse_validity(text, source="ConfigMap")


def test_makes_everything_once(tmp_path: Path) -> None:
    first, second = issue_at(tmp_path, NOW), issue_at(tmp_path, NOW + DAY)

    assert first == ["ca.crt", *SECRETS]
    assert second == []


@pytest.mark.parametrize(("age", "renewed"), [(59, []), (61, SECRETS)])
def test_renews_below_a_third_of_the_lifetime(tmp_path: Path, age: int, renewed: list[str]) -> None:
    issue_at(tmp_path, NOW)
    authority = (tmp_path / "ca.crt").read_bytes()
    before = certificate_of(tmp_path, SECRETS[0])

    written = directory(tmp_path).renew(
        lifetime=90 * DAY, authority_lifetime=3650 * DAY, now=NOW + age * DAY, every=False
    )

    after = certificate_of(tmp_path, SECRETS[0])
    assert written == renewed
    assert (tmp_path / "ca.crt").read_bytes() == authority
    assert (after.serial_number != before.serial_number) == bool(renewed)


def test_renews_everything_when_asked(tmp_path: Path) -> None:
    issue_at(tmp_path, NOW)

    written = directory(tmp_path).renew(
        lifetime=90 * DAY, authority_lifetime=3650 * DAY, now=NOW, every=True
    )

    assert written == SECRETS


def test_renews_the_authority_with_its_key(tmp_path: Path) -> None:
    issue_at(tmp_path, NOW)
    key = (tmp_path / "ca.key").read_bytes()

    written = issue_at(tmp_path, NOW + 3000 * DAY)

    assert written == ["ca.crt", *SECRETS]
    assert (tmp_path / "ca.key").read_bytes() == key


def test_makes_what_is_lost_or_anothers(tmp_path: Path) -> None:
    issue_at(tmp_path / "a", NOW)
    issue_at(tmp_path / "b", NOW)
    (tmp_path / "a" / f"{SECRETS[0]}.yaml").unlink()
    (tmp_path / "b" / f"{SECRETS[1]}.yaml").replace(tmp_path / "a" / f"{SECRETS[1]}.yaml")

    assert issue_at(tmp_path / "a", NOW) == SECRETS[:2]


def test_makes_all_secrets_anew_for_another_namespace(tmp_path: Path) -> None:
    issue_at(tmp_path, NOW)

    written = directory(tmp_path, "elsewhere").issue(lifetime=DAY, authority_lifetime=DAY, now=NOW)

    names = certificate_of(tmp_path, SECRETS[0]).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert written == SECRETS
    assert "k40s-extender.elsewhere.svc" in names.value.get_values_for_type(x509.DNSName)


def test_renews_nothing_without_an_authority(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"ca.crt: found 'no file', expected the authority"):
        directory(tmp_path).renew(lifetime=DAY, authority_lifetime=DAY, now=NOW, every=False)


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("ca.crt", "nonsense", "certificate: found 'other text', expected a PEM certificate"),
        ("ca.key", "nonsense", "CA key: found 'text that is no key'"),
        ("k40s-scheduler-tls.yaml", "data: {}", "expected a Secret of ours"),
        ("k40s-scheduler-tls.yaml", "data: {tls.crt: '?'}", "expected a Secret of ours"),
    ],
)
def test_says_which_file_it_cannot_use(
    tmp_path: Path, file: str, text: str, complaint: str
) -> None:
    issue_at(tmp_path, NOW)
    (tmp_path / file).write_text(text)

    with pytest.raises(InvalidInputError) as caught:
        issue_at(tmp_path, NOW + 80 * DAY)

    assert complaint in str(caught.value)


def test_refuses_a_key_that_is_not_the_authoritys(tmp_path: Path) -> None:
    issue_at(tmp_path, NOW)
    (tmp_path / "ca.key").write_bytes(make_authority(name="CA", lifetime=DAY, now=NOW).key)

    with pytest.raises(InvalidInputError, match="CA key: found 'another key'"):
        issue_at(tmp_path, NOW + 80 * DAY)


@pytest.mark.parametrize("namespace", ["", "Upper", "a b", "-a", "a" * 64, "../x"])
def test_refuses_what_is_no_namespace(tmp_path: Path, namespace: str) -> None:
    with pytest.raises(InvalidInputError, match="namespace"):
        directory(tmp_path, namespace)


@pytest.mark.parametrize(("age", "word"), [(0, "valid"), (61, "renew"), (91, "expired")])
def test_judges_a_certificate_by_its_age(tmp_path: Path, age: int, word: str) -> None:
    issue_at(tmp_path, NOW)

    entries = directory(tmp_path).status()

    assert [entry.name for entry in entries] == ["ca.crt", *SECRETS]
    assert [entry.state(NOW + age * DAY) for entry in entries] == ["valid", *[word] * len(SECRETS)]


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run() -> Run:
    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["certificates", *arguments])
        return result.exit_code, result.output

    return invoke


def test_the_command_issues_reports_and_renews(run: Run, tmp_path: Path) -> None:
    output = str(tmp_path / "out")

    missing, _ = run("status", "--output", output)
    issued, said = run("issue", "--output", output, "--days", "30")
    complete, table = run("status", "--output", output)
    idle, nothing = run("renew", "--output", output)
    forced, renewed = run("renew", "--output", output, "--all")

    assert (missing, issued, complete, idle, forced) == (1, 0, 0, 0, 0)
    assert f"kubectl apply -k {output}" in said
    assert table.count("valid") == len(SECRETS) + 1
    assert nothing == "Nothing is due.\n"
    assert renewed.count("written") == len(SECRETS)


def test_the_command_keeps_secrets_in_the_namespace_that_they_are_in(
    run: Run, tmp_path: Path
) -> None:
    run("issue", "--output", str(tmp_path), "--namespace", "plant-a")

    run("renew", "--output", str(tmp_path), "--all")
    code, status = run("status", "--output", str(tmp_path))

    found = {
        yaml.safe_load(file.read_text())["metadata"]["namespace"]
        for file in tmp_path.glob("k40s-*-tls.yaml")
    }
    assert found == {"plant-a"}
    assert code == 0
    assert status.count("valid") == len(SECRETS) + 1


def test_the_command_asks_for_the_namespace_where_secrets_are_of_several(
    run: Run, tmp_path: Path
) -> None:
    run("issue", "--output", str(tmp_path))
    file = tmp_path / "k40s-scheduler-tls.yaml"
    file.write_text(file.read_text().replace("k40s-system", "plant-a"))

    code, said = run("renew", "--output", str(tmp_path))
    _, mended = run("issue", "--output", str(tmp_path), "--namespace", "k40s-system")

    assert code == 1
    assert "Secrets of the namespaces k40s-system, plant-a" in said
    assert "written  k40s-scheduler-tls" in mended


def test_the_command_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    code, said = run("renew", "--output", str(tmp_path))

    assert code == 1
    assert said.startswith("Error: ")
    assert "Traceback" not in said


def test_the_command_lists_its_subcommands_without_importing_them() -> None:
    result = CliRunner().invoke(main, ["--help"])

    assert "certificates" in result.output
    assert "local" in result.output


def test_the_command_refuses_what_it_does_not_know() -> None:
    result = CliRunner().invoke(main, ["nonsense"])

    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.output
