"""Mutual TLS for servers and clients, with files that may be renewed under a running process."""

import logging
import os
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from k40s.errors import UnavailableError

_log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: our certificate and key, and the CA that signs our peers' certificates."""

    cert: Path
    key: Path
    ca: Path

    @classmethod
    def in_directory(cls, directory: Path) -> "TlsFiles":
        """The names that Secrets of type kubernetes.io/tls use."""
        return cls(cert=directory / "tls.crt", key=directory / "tls.key", ca=directory / "ca.crt")

    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return self.cert, self.key, self.ca


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """A client's trust and identity: PEM files, each of which may be absent.

    Without ``ca`` the system's authorities are trusted; without ``verify`` any certificate is.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify: bool = True

    def paths(self) -> tuple[Path, ...]:
        """The files that are given."""
        return tuple(path for path in (self.ca, self.cert, self.key) if path is not None)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Ask every client for a certificate of our CA that is meant for clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(files.cert, files.key)
    return context


def anonymous_server_context(files: TlsFiles) -> ssl.SSLContext:
    """Ask no client for a certificate: an API server has none for webhooks by default."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.cert, files.key)
    return context


def client_context(files: TlsFiles | ClientTls) -> ssl.SSLContext:
    """Present our certificate, and trust no other CA than the given one."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=files.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if isinstance(files, ClientTls) and not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if files.cert is not None:
        context.load_cert_chain(files.cert, files.key)
    return context


class _Files(Protocol):
    def paths(self) -> tuple[Path, ...]: ...


F = TypeVar("F", bound=_Files)


class RenewingContext(Generic[F]):
    """A context that is made again once its files have changed.

    While they cannot be read, or do not match because they are just being written, the former
    context stays in use; only the first one must succeed. Each distinct cause is logged once.
    """

    def __init__(self, files: F, make: Callable[[F], ssl.SSLContext]) -> None:
        """Raises ``UnavailableError`` when the files cannot be used."""
        self._files = files
        self._paths = tuple(map(str, files.paths()))
        self._make = make
        self._lock = threading.Lock()
        self._logged = ""
        try:
            self._stamp = self._read_stamp()
            self._context = make(files)
        except (OSError, ValueError) as error:
            raise UnavailableError(f"TLS files beside {self._first}: {error}") from error

    @property
    def _first(self) -> str:
        return next(iter(self._paths), "the system's")

    def _read_stamp(self) -> _Stamp:
        """Changes when any file is replaced; follows a mounted Secret's symbolic links."""
        status = [os.stat(path) for path in self._paths]  # noqa: PTH116  # for each request
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in status)

    def get(self) -> ssl.SSLContext:
        """The context of the present files; the same object as long as they do not change."""
        with self._lock:
            try:
                stamp = self._read_stamp()
                if stamp != self._stamp:
                    self._context = self._make(self._files)
                    self._stamp = stamp
                    _log.info("TLS files renewed", extra={"file": self._first})
                self._logged = ""
            except (OSError, ValueError) as error:
                if str(error) != self._logged:
                    self._logged = str(error)
                    _log.warning("TLS files unusable, the former stay", extra={"cause": str(error)})
            return self._context
