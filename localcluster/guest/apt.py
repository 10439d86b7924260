"""Fetch packages of a Debian suite that the machine's own apt does not use.

The mirror is the one that the machine's apt is configured for, read at run time; packages are
verified with the distribution's key ring as any other. The machine's package lists and its
configuration stay as they are.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.host.commands import run

SOURCES = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
_KEY_RING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_COMPONENT = "main"
_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)")
_UPDATE_TIMEOUT = 120
_DOWNLOAD_TIMEOUT = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class AptSource:
    """A mirror of a suite's component ``main``; ``signed_by`` is empty for apt's trusted keys."""

    uri: str
    suite: str
    signed_by: str


def parse_codename(os_release: str) -> str:
    """Debian's code name out of ``/etc/os-release``; empty when it names none."""
    match = re.search(r'^VERSION_CODENAME="?([a-z]+)"?$', os_release, re.MULTILINE)
    return match[1] if match else ""


def parse_sources(text: str) -> list[AptSource]:
    """Binary sources of ``main`` out of a file of either format, ``.sources`` or ``.list``."""
    found = [
        source for stanza in re.split(r"\n\s*\n", text) for source in _from_stanza(_fields(stanza))
    ]
    lines = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    for match in filter(None, lines):
        suite, *components = match["rest"].split()
        signed = re.search(r"signed-by=(\S+)", match["options"] or "", re.IGNORECASE)
        if _COMPONENT in components:
            key = signed[1] if signed else ""
            found.append(AptSource(uri=match["uri"], suite=suite, signed_by=key))
    return found


def format_source(source: AptSource) -> str:
    """A ``.sources`` file."""
    fields = {
        "Types": "deb",
        "URIs": source.uri,
        "Suites": source.suite,
        "Components": _COMPONENT,
        **({"Signed-By": source.signed_by} if source.signed_by else {}),
    }
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def find_source(
    suite_suffix: str = "", *, root: Path = SOURCES, os_release: Path = OS_RELEASE
) -> AptSource:
    """The machine's mirror of its own release, for the suite ``<code name><suite_suffix>``."""
    codename = parse_codename(os_release.read_text(encoding="utf-8"))
    files = [root / "sources.list", *sorted((root / "sources.list.d").glob("*"))]
    texts = [
        path.read_text(encoding="utf-8")
        for path in files
        if path.suffix in {".list", ".sources"} and path.is_file()
    ]
    for source in (one for text in texts for one in parse_sources(text)):
        if source.suite == codename:
            default = str(_KEY_RING) if _KEY_RING.exists() else ""
            return AptSource(
                uri=source.uri,
                suite=f"{codename}{suite_suffix}",
                signed_by=source.signed_by or default,
            )
    raise LocalClusterError(
        f"apt has no source of Debian {codename or '(unknown)'} {_COMPONENT}: "
        "a guest's kernel and its files come from there"
    )


class AptView:
    """One suite as apt sees it, with lists of its own in ``directory``."""

    def __init__(self, source: AptSource, directory: Path) -> None:
        self.source = source
        self._directory = directory
        file = directory / "suite.sources"
        self._options = (
            f"--option=Dir::Etc::sourcelist={file}",
            "--option=Dir::Etc::sourceparts=/dev/null",
            f"--option=Dir::State::lists={directory / 'lists'}",
            f"--option=Dir::Cache={directory / 'cache'}",
            "--option=Acquire::Languages=none",
            "--option=APT::Sandbox::User=root",
        )
        for name in ("lists", "cache"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        file.write_text(format_source(source), encoding="utf-8")

    def update(self) -> None:
        """Fetch the suite's lists; raises ``CommandError`` where the mirror has no such suite."""
        words = ("apt-get", *self._options, "--quiet", "--error-on=any", "update")
        run(words, timeout=_UPDATE_TIMEOUT)

    def packages(self, pattern: str) -> list[str]:
        """The names that a regular expression finds."""
        listed = run(["apt-cache", *self._options, "search", "--names-only", pattern])
        return [line.split()[0] for line in listed.splitlines() if line.strip()]

    def extract(self, package: str, target: Path) -> None:
        """Download a package and unpack its files below ``target``; nothing is installed."""
        downloads = self._directory / "downloads"
        downloads.mkdir(exist_ok=True)
        words = ("apt-get", *self._options, "--quiet", "download", package)
        run(words, timeout=_DOWNLOAD_TIMEOUT, directory=downloads)
        (archive,) = downloads.glob("*.deb")
        run(["dpkg-deb", "--extract", archive, target], timeout=_UPDATE_TIMEOUT)
        shutil.rmtree(downloads)


def _from_stanza(fields: dict[str, str]) -> Iterable[AptSource]:
    if "deb" not in fields.get("types", "").split():
        return
    if _COMPONENT not in fields.get("components", "").split():
        return
    for uri in fields.get("uris", "").split():
        for suite in fields.get("suites", "").split():
            # A key may also be written out in the field; then apt's own ring has to do.
            key = fields.get("signed-by", "")
            yield AptSource(uri=uri, suite=suite, signed_by=key if key.startswith("/") else "")


def _fields(stanza: str) -> dict[str, str]:
    lines = (line for line in stanza.splitlines() if not line.startswith("#"))
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}
