"""Mutual TLS for servers and clients, with files that may be renewed under a running process."""

import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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

    def stamp(self) -> _Stamp:
        """Changes when any of the files is replaced; follows a mounted Secret's symbolic links."""
        status = [path.stat() for path in (self.cert, self.key, self.ca)]
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in status)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Ask every client for a certificate of our CA that is meant for clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(files.cert, files.key)
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Present our certificate, and trust no other CA than ours."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(files.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.cert, files.key)
    return context


class RenewingContext:
    """A context that is made anew once its files have changed.

    While they cannot be read, or do not fit each other because they are just being written, the
    former context stays in use; only the first one must succeed.
    """

    def __init__(self, files: TlsFiles, make: Callable[[TlsFiles], ssl.SSLContext]) -> None:
        """Raises ``UnavailableError`` when the files cannot be used."""
        self._files = files
        self._make = make
        self._lock = threading.Lock()
        try:
            self._stamp = files.stamp()
            self._context = make(files)
        except (OSError, ValueError) as error:
            raise UnavailableError(f"TLS files beside {files.cert}: {error}") from error

    def get(self) -> ssl.SSLContext:
        """The context of the present files; the same object as long as they do not change."""
        with self._lock:
            try:
                stamp = self._files.stamp()
                if stamp != self._stamp:
                    self._context = self._make(self._files)
                    self._stamp = stamp
                    _log.info("TLS files renewed", extra={"certificate": str(self._files.cert)})
            except (OSError, ValueError) as error:
                _log.warning("TLS files unusable, the former stay", extra={"cause": str(error)})
            return self._context
