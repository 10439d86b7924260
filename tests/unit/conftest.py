import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from k40s.http.tls import TlsFiles
from k40s.pki.directory import CertificateDirectory

NamedFiles = Callable[[str], TlsFiles]


def unpack(secret: Path, into: Path) -> TlsFiles:
    """Write a Secret's data the way kubelet mounts it."""
    into.mkdir(exist_ok=True)
    for name, text in yaml.safe_load(secret.read_text())["data"].items():
        temporary = into / f"{name}.new"
        temporary.write_bytes(base64.b64decode(text))
        temporary.replace(into / name)
    return TlsFiles.in_directory(into)


def issue_all(directory: Path) -> None:
    CertificateDirectory(directory, "k40s-system").issue(
        lifetime=timedelta(days=30), authority_lifetime=timedelta(days=90), now=datetime.now(UTC)
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as `k40s certificates issue` makes it."""
    directory = tmp_path_factory.mktemp("authority")
    issue_all(directory)
    return directory


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("other")
    issue_all(directory)
    return directory


@pytest.fixture
def files(authority: Path, tmp_path: Path) -> NamedFiles:
    """Secret name -> its files."""
    return lambda name: unpack(authority / f"{name}.yaml", tmp_path / name)
