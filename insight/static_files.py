"""The page's files, read once at the start: a request can name nothing else."""

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from insight.answers import Answer, Headers
from insight.overview.shared_texts import compress_whole
from k40s.errors import UnavailableError

PAGE = Path(__file__).parent / "page"
INDEX = "index.html"
PREFIX = "/static/"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
"""A file of another kind is not served."""
_PACKED = ("text/", "application/", "image/svg")


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    content: bytes
    packed: bytes | None
    headers: Headers
    tag: str


class StaticFiles:
    """``index.html`` as ``/``, and all files of a folder under ``/static/``."""

    def __init__(self, folder: Path = PAGE) -> None:
        """Raises ``UnavailableError`` where a file cannot be read."""
        try:
            self._files = {
                PREFIX + path.relative_to(folder).as_posix(): _read(path, _TYPES[path.suffix])
                for path in sorted(folder.rglob("*"))
                if path.is_file() and path.suffix in _TYPES
            }
        except OSError as error:
            raise UnavailableError(f"the page's files: {error}") from error

    def find(self, path: str, *, known: str, packed: bool) -> Answer | None:
        """The file of this path, None where there is none.

        ``known`` is the request's If-None-Match, ``packed`` whether it takes gzip.
        """
        found = self._files.get(PREFIX + INDEX if path == "/" else path)
        if found is None:
            return None
        if found.tag in known:
            return Answer(status=HTTPStatus.NOT_MODIFIED, headers=found.headers)
        if packed and found.packed is not None:
            encoding = (("Content-Encoding", "gzip"),)
            return Answer(body=found.packed, headers=(*found.headers, *encoding))
        return Answer(body=found.content, headers=found.headers)


def _read(path: Path, kind: str) -> _File:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    packed = compress_whole(content) if kind.startswith(_PACKED) else None
    headers = (
        ("Content-Type", kind),
        ("Cache-Control", "no-cache"),  # asked for again each time, and answered by its hash
        ("ETag", tag),
        ("Vary", "Accept-Encoding"),
    )
    return _File(content=content, packed=packed, headers=headers, tag=tag)
