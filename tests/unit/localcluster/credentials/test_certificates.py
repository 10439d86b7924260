"""What the local cluster asks of the certificate authority."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from k40s.pki.authority import make_authority
from localcluster.credentials.certificates import Authority, KeyPair, issue_signing_key
from localcluster.errors import LocalClusterError

ADDRESS = IPv4Address("10.77.0.10")


def certificate_of(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


@pytest.mark.parametrize(
    ("hosts", "purposes"),
    [
        ([], [ExtendedKeyUsageOID.CLIENT_AUTH]),
        (["etcd", ADDRESS], [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
    ],
    ids=["client", "server"],
)
def test_a_server_of_the_cluster_is_a_client_too(
    tmp_path: Path, hosts: list[str | IPv4Address], purposes: list[x509.ObjectIdentifier]
) -> None:
    certificate = certificate_of(Authority(tmp_path, "ca").issue("x", name="me", hosts=hosts))

    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == purposes


def test_a_server_is_named_by_its_addresses(tmp_path: Path) -> None:
    pair = Authority(tmp_path, "ca").issue("x", name="me", hosts=[ADDRESS, "localhost"])

    extensions = certificate_of(pair).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ADDRESS]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_certificates_hold_for_a_year_on_p256(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "etcd-ca")

    for pair in (authority.pair, authority.issue("x", name="me")):
        certificate = certificate_of(pair)
        key = certificate.public_key()
        lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert timedelta(days=365) - timedelta(minutes=1) < lifetime
        assert lifetime <= timedelta(days=365, minutes=5)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
    issuer = certificate_of(authority.pair)
    assert issuer.subject.rfc4514_string() == "CN=k40s local etcd-ca"
    limits = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)


def test_a_signing_key_is_a_bare_pair_that_is_made_once(tmp_path: Path) -> None:
    pair = issue_signing_key(tmp_path, "accounts")
    made = pair.key.read_bytes()

    issue_signing_key(tmp_path, "accounts")

    private = serialization.load_pem_private_key(pair.key.read_bytes(), password=None)
    public = serialization.load_pem_public_key(pair.certificate.read_bytes())
    assert pair.key.read_bytes() == made
    assert private.public_key() == public
    assert pair.key.stat().st_mode & 0o077 == 0


def test_an_authority_that_has_expired_is_an_error_of_the_cluster(tmp_path: Path) -> None:
    made = make_authority(
        name="k40s local ca",
        lifetime=timedelta(days=1),
        now=datetime.now(UTC) - timedelta(days=2),
    )
    pair = KeyPair.at(tmp_path, "ca")
    pair.certificate.write_bytes(made.certificate)
    pair.key.write_bytes(made.key)

    with pytest.raises(LocalClusterError, match="expired"):
        Authority(tmp_path, "ca").issue("x", name="me")
