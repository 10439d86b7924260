"""A directory with the authority and the Secrets that the manifests mount.

``ca.crt`` and ``ca.key`` stay with the operator; the key is in no Secret. Each
``<secret>.yaml`` is a Secret, and ``kustomization.yaml`` names them all: ``kubectl apply -k``.
A ConfigMap tells from when until when each is valid, to who may not read Secrets.
"""

import base64
import binascii
import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from k40s.errors import InvalidInputError
from k40s.pki.authority import (
    Identity,
    Pair,
    Validity,
    is_signed_by,
    issue,
    make_authority,
    read_validity,
    renew_authority,
)
from k40s.pki.validity import VALIDITY, validity_map

_AUTHORITY = "k40s CA"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatus:
    """One certificate of the directory; ``validity`` is None when there is no usable one."""

    name: str
    validity: Validity | None

    def state(self, now: datetime) -> str:
        """Its state: ``missing``, ``expired``, ``renew`` or ``valid``."""
        if self.validity is None:
            return "missing"
        if self.validity.not_after <= now:
            return "expired"
        return "renew" if self.validity.due(now) else "valid"


def identities(namespace: str) -> dict[str, Identity]:
    """Secret -> its identity; the servers' lists of allowed clients hold the client names."""
    return {
        "k40s-extender-tls": _server("k40s-extender", namespace),
        "k40s-extender-client-tls": Identity(common_name="k40s-extender"),
        "k40s-scheduler-tls": Identity(common_name="k40s-scheduler"),
        "k40s-controller-client-tls": Identity(common_name="k40s-controller"),
        # People's browsers reach it by a forwarded port as well.
        "k40s-insight-tls": _server("k40s-insight", namespace, "localhost"),
        "k40s-insight-client-tls": Identity(common_name="k40s-insight"),
        # The API server calls a webhook by its Service's name, which kustomize may change. No
        # client of ours checks a name of this form, so it stands for none of our other servers.
        "k40s-webhook-tls": Identity(
            common_name="k40s-webhook-server", dns_names=("k40s-webhook", f"*.{namespace}.svc")
        ),
        "k40s-rubicante-tls": _server("rubicante", namespace),
        "k40s-scarmiglione-tls": _server("scarmiglione", namespace),
    }


def find_namespace(path: Path) -> str | None:
    """The namespace of the Secrets in a directory, None where there are none.

    Raises ``InvalidInputError`` where they are of several, or a file is no Secret that k40s wrote.
    """
    present = [path / f"{name}.yaml" for name in identities("any")]
    found = {_read_secret(file)[0] for file in present if file.exists()}
    if len(found) > 1:
        raise InvalidInputError(
            source=str(path),
            path="$",
            found=f"Secrets of the namespaces {', '.join(sorted(found))}",
            expected="those of one, or --namespace with the one that is meant",
        )
    return found.pop() or None if found else None


class CertificateDirectory:
    """Issues, renews and reports. Reading raises ``InvalidInputError``, writing ``OSError``."""

    def __init__(self, path: Path, namespace: str) -> None:
        if not _NAMESPACE.fullmatch(namespace):
            raise InvalidInputError(
                source="namespace", path="$", found=namespace, expected="a name such as k40s-system"
            )
        self._path = path
        self._namespace = namespace

    def issue(
        self, *, lifetime: timedelta, authority_lifetime: timedelta, now: datetime
    ) -> list[str]:
        """Make what is missing, and renew what is due; returns the names written.

        The authority's key is made once and kept: what it signed before stays valid. A Secret that
        another authority signed counts as missing.
        """
        return self._write(lifetime, authority_lifetime, now, every=False)

    def renew(
        self, *, lifetime: timedelta, authority_lifetime: timedelta, now: datetime, every: bool
    ) -> list[str]:
        """Renew what is due, or ``every`` certificate but the authority's; needs an authority."""
        self._authority()
        return self._write(lifetime, authority_lifetime, now, every=every)

    def status(self) -> list[CertificateStatus]:
        """The authority's certificate first, then the Secrets'."""
        authority = self._path / "ca.crt"
        pem = authority.read_bytes() if authority.exists() else None
        first = CertificateStatus(
            name="ca.crt", validity=None if pem is None else read_validity(pem)
        )
        rest = [
            CertificateStatus(name=name, validity=self._validity(name, pem))
            for name in identities(self._namespace)
        ]
        return [first, *rest]

    def _write(
        self, lifetime: timedelta, authority_lifetime: timedelta, now: datetime, *, every: bool
    ) -> list[str]:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority, written = self._ready_authority(authority_lifetime, now)
        every = every or bool(written)  # a Secret carries the authority's certificate as well
        for name, identity in identities(self._namespace).items():
            validity = self._validity(name, authority.certificate)
            if every or validity is None or validity.due(now):
                pair = issue(authority, identity, lifetime=lifetime, now=now)
                secret = self._secret(name, pair, authority.certificate)
                _write_file(self._path / f"{name}.yaml", secret, mode=0o600)
                written.append(name)
        _write_file(self._path / f"{VALIDITY}.yaml", self._validities(), mode=0o644)
        _write_file(self._path / "kustomization.yaml", self._kustomization(), mode=0o644)
        return written

    def _ready_authority(self, lifetime: timedelta, now: datetime) -> tuple[Pair, list[str]]:
        if not (self._path / "ca.key").exists():
            authority = make_authority(name=_AUTHORITY, lifetime=lifetime, now=now)
        else:
            authority = self._authority()
            if not read_validity(authority.certificate).due(now):
                return authority, []
            authority = renew_authority(authority, lifetime=lifetime, now=now)
        _write_file(self._path / "ca.key", authority.key, mode=0o600)
        _write_file(self._path / "ca.crt", authority.certificate, mode=0o644)
        return authority, ["ca.crt"]

    def _authority(self) -> Pair:
        for name in ("ca.crt", "ca.key"):
            if not (self._path / name).exists():
                raise InvalidInputError(
                    source=str(self._path / name),
                    path="$",
                    found="no file",
                    expected="the authority that `k40s certificates issue` makes",
                )
        return Pair(
            certificate=(self._path / "ca.crt").read_bytes(),
            key=(self._path / "ca.key").read_bytes(),
        )

    def _validity(self, name: str, authority: bytes | None) -> Validity | None:
        path = self._path / f"{name}.yaml"
        if not path.exists() or authority is None:
            return None
        namespace, pem = _read_secret(path)
        same_namespace = namespace == self._namespace
        return read_validity(pem) if same_namespace and is_signed_by(pem, authority) else None

    def _secret(self, name: str, pair: Pair, authority: bytes) -> bytes:
        content = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority}
        return _yaml(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {
                    "name": name,
                    "namespace": self._namespace,
                    "labels": {"app.kubernetes.io/part-of": "k40s"},
                },
                "data": {key: base64.b64encode(pem).decode() for key, pem in content.items()},
            }
        )

    def _kustomization(self) -> bytes:
        return _yaml(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": [
                    *(f"{name}.yaml" for name in identities(self._namespace)),
                    f"{VALIDITY}.yaml",
                ],
            }
        )

    def _validities(self) -> bytes:
        """The ConfigMap of what is in the directory."""
        told = {
            one.name: (one.validity.not_before, one.validity.not_after)
            for one in self.status()
            if one.validity is not None
        }
        return _yaml(validity_map(self._namespace, told))


def _read_secret(path: Path) -> tuple[str, bytes]:
    """Namespace and certificate of a Secret that k40s wrote."""
    try:
        secret = yaml.safe_load(path.read_bytes())
        pem = base64.b64decode(secret["data"]["tls.crt"], validate=True)
        return str(secret["metadata"].get("namespace") or ""), pem
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise InvalidInputError(
            source=str(path), path="$", found="something else", expected="a Secret of ours"
        ) from error


def _server(service: str, namespace: str, *further: str) -> Identity:
    full = f"{service}.{namespace}.svc"
    return Identity(
        common_name=f"{service}-server",
        dns_names=(service, f"{service}.{namespace}", full, f"{full}.cluster.local", *further),
    )


def _yaml(value: object) -> bytes:
    return yaml.safe_dump(value, sort_keys=False).encode()


def _write_file(path: Path, content: bytes, *, mode: int) -> None:
    """Replace in one step: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
