"""A local cluster's authorities and certificates as PEM files, made once by ``k40s.pki``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from k40s.errors import InvalidInputError
from k40s.pki.authority import Identity, Pair, issue, make_authority, make_key_pair
from localcluster.errors import LocalClusterError

_LIFETIME = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    @classmethod
    def at(cls, directory: Path, name: str) -> "KeyPair":
        """The pair of that name in a directory."""
        return cls(certificate=directory / f"{name}.crt", key=directory / f"{name}.key")

    def exists(self) -> bool:
        """Whether both files are there."""
        return self.certificate.exists() and self.key.exists()


class Authority:
    """A certificate authority whose key never leaves its directory."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self.pair = KeyPair.at(directory, name)
        if not self.pair.exists():
            made = make_authority(
                name=f"k40s local {name}", lifetime=_LIFETIME, now=datetime.now(UTC)
            )
            _write(self.pair, made.certificate, made.key)
        self._authority = Pair(
            certificate=self.pair.certificate.read_bytes(), key=self.pair.key.read_bytes()
        )

    def issue(
        self,
        file: str,
        *,
        name: str,
        organizations: Sequence[str] = (),
        hosts: Sequence[str | IPv4Address] = (),
        directory: Path | None = None,
    ) -> KeyPair:
        """Sign a certificate for a client, and for a server when it has ``hosts``; once per file.

        The files go into ``directory``, by default the authority's own. Raises
        ``LocalClusterError`` where the authority has expired, as after a year, or is unusable.
        """
        pair = KeyPair.at(directory or self._directory, file)
        if pair.exists():
            return pair
        identity = Identity(
            common_name=name,
            organizations=tuple(organizations),
            dns_names=tuple(host for host in hosts if isinstance(host, str)),
            addresses=tuple(host for host in hosts if isinstance(host, IPv4Address)),
            also_client=True,
        )
        try:
            made = issue(self._authority, identity, lifetime=_LIFETIME, now=datetime.now(UTC))
        except InvalidInputError as error:
            text = f"{self.pair.certificate}: {error}; take the cluster down, and up again"
            raise LocalClusterError(text) from error
        _write(pair, made.certificate, made.key)
        return pair


def issue_signing_key(directory: Path, name: str) -> KeyPair:
    """A bare key pair (public key in ``.crt``), with which service accounts' tokens are signed."""
    pair = KeyPair.at(directory, name)
    if not pair.exists():
        _write(pair, *make_key_pair())
    return pair


def _write(pair: KeyPair, public: bytes, private: bytes) -> None:
    pair.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pair.key.touch(mode=0o600)
    pair.key.write_bytes(private)
    pair.certificate.write_bytes(public)
