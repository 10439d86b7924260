"""A certificate authority and its certificates, for k40s's processes and for the local cluster.

ECDSA on P-256. The authority may sign no further authority (path length 0). A certificate is for
servers or for clients, so that a stolen server key cannot call anybody; only one that asks for it
(``also_client``, as etcd and kubelet need) is for both.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k40s.errors import InvalidInputError

_CLOCK_SKEW = timedelta(minutes=5)
_RENEW_BELOW = 1 / 3
_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The subject of a certificate: a server with its names and addresses, or a client (none)."""

    common_name: str
    dns_names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()
    organizations: tuple[str, ...] = ()
    """The groups that Kubernetes reads from a client's certificate."""
    also_client: bool = False
    """Whether a server's certificate is valid for a client too."""

    @property
    def is_server(self) -> bool:
        """Whether it has a name or an address that clients check."""
        return bool(self.dns_names or self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """From when until when a certificate holds."""

    not_before: datetime
    not_after: datetime

    def due(self, now: datetime) -> bool:
        """Whether less than a third of the lifetime is left."""
        return self.not_after - now < (self.not_after - self.not_before) * _RENEW_BELOW


def make_authority(*, name: str, lifetime: timedelta, now: datetime) -> Pair:
    """Make a self-signed authority with a new key."""
    return _sign_authority(ec.generate_private_key(ec.SECP256R1()), name, lifetime, now)


def renew_authority(authority: Pair, *, lifetime: timedelta, now: datetime) -> Pair:
    """Prolong the authority with its key and name: what it has signed stays valid."""
    certificate, key = _load(authority)
    name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return _sign_authority(key, str(name), lifetime, now)


def issue(authority: Pair, identity: Identity, *, lifetime: timedelta, now: datetime) -> Pair:
    """Sign a certificate with a new key; it never outlives the authority.

    Raises ``InvalidInputError`` when the authority's files are unusable or it has expired.
    """
    ca_certificate, ca_key = _load(authority)
    end = ca_certificate.not_valid_after_utc
    if end <= now:
        raise InvalidInputError(
            source="CA certificate", path="$", found=f"expired {end}", expected="a valid one"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(identity.common_name, identity.organizations)
    builder = (
        _builder(subject, now, min(now + lifetime, end))
        .issuer_name(ca_certificate.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_purposes(identity)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    if identity.is_server:
        names = [x509.DNSName(name) for name in identity.dns_names]
        addresses = [x509.IPAddress(address) for address in identity.addresses]
        alternatives = x509.SubjectAlternativeName([*names, *addresses])
        builder = builder.add_extension(alternatives, critical=False)
    return _pair(builder.sign(ca_key, hashes.SHA256()), key)


def make_key_pair() -> tuple[bytes, bytes]:
    """A public key and its private key, as PEM, without a certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public, _private_pem(key)


def read_validity(certificate: bytes) -> Validity:
    """Read a PEM certificate's dates. Raises ``InvalidInputError``."""
    loaded = _load_certificate(certificate)
    return Validity(not_before=loaded.not_valid_before_utc, not_after=loaded.not_valid_after_utc)


def is_signed_by(certificate: bytes, authority_certificate: bytes) -> bool:
    """Whether the authority's key has signed it. Raises ``InvalidInputError``."""
    try:
        _load_certificate(certificate).verify_directly_issued_by(
            _load_certificate(authority_certificate)
        )
    except Exception:  # noqa: BLE001  # the library raises four unrelated errors for "no"
        return False
    return True


def _sign_authority(
    key: ec.EllipticCurvePrivateKey, name: str, lifetime: timedelta, now: datetime
) -> Pair:
    certificate = (
        _builder(_name(name), now, now + lifetime)
        .issuer_name(_name(name))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def _builder(subject: x509.Name, now: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(end)
    )


def _name(common_name: str, organizations: tuple[str, ...] = ()) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, part) for part in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _purposes(identity: Identity) -> list[x509.ObjectIdentifier]:
    if not identity.is_server:
        return [ExtendedKeyUsageOID.CLIENT_AUTH]
    both = [ExtendedKeyUsageOID.CLIENT_AUTH] if identity.also_client else []
    return [*both, ExtendedKeyUsageOID.SERVER_AUTH]


def _key_usage(*uses: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in uses for use in _USES})


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=_private_pem(key),
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _load(pair: Pair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = _load_certificate(pair.certificate)
    try:
        key = serialization.load_pem_private_key(pair.key, password=None)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            source="CA key", path="$", found="text that is no key", expected="a PEM private key"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        raise InvalidInputError(
            source="CA key", path="$", found="another key", expected="the CA certificate's key"
        )
    return certificate, key


def _load_certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise InvalidInputError(
            source="certificate", path="$", found="other text", expected="a PEM certificate"
        ) from error
