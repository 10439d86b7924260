"""List and watch of one kind of object at the API server.

One bad object must not stop the list of all: unreadable objects are reported beside the records.
"""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlencode

from k40s.errors import UnavailableError
from k40s.http.client import AnswerTooLongError
from k40s.kube.list_watch import Change, GoneError, Keyed, Listing, Unreadable, WatchEvent
from k40s.kube.objects.read import JsonObject, NamelessError, version
from k40s.kube.records import Fault
from k40s.kube.transport import JSON, ApiTransport, NotFoundError
from k40s.units import NS_PER_S, Nanoseconds

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE = 500
_SHRINK = 8
"""Divisor of a page that is too large: the API server allows objects of 1.5 MB."""
_WATCH_S = 290
_SILENCE = Nanoseconds(90 * NS_PER_S)
"""The API server sends a bookmark about once a minute."""
_SHOWN = 80
_CHANGES = {"ADDED": Change.UPSERT, "MODIFIED": Change.UPSERT, "DELETED": Change.DELETE}


class Record(Keyed, Protocol):
    """A record that lists the unreadable fields of its object."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Empty for an object that was read completely."""


R = TypeVar("R", bound=Record)


def label_query(*, labels: str, fields: str) -> str:
    """The part of a URL's query that selects objects; "" selects all."""
    chosen = {"labelSelector": labels, "fieldSelector": fields}
    return urlencode({key: value for key, value in chosen.items() if value})


class ApiSource(Generic[R]):
    """A ``WatchSource`` of the objects under one path."""

    def __init__(
        self,
        transport: ApiTransport,
        path: str,
        query: str,
        record: Callable[[JsonObject], R],
        accept: str = JSON,
    ) -> None:
        self._api = transport
        self._path = path
        self._query = query
        self._record = record
        self._accept = accept

    def list(self) -> Listing[R]:
        """All records at one version, fetched in pages. Raises ``UnavailableError``."""
        accept = _METADATA_LIST if self._accept == METADATA_ONLY else self._accept
        records: list[R] = []
        unreadable: list[Unreadable] = []
        position, size = "", _PAGE
        while True:
            path = self._url(limit=size, **{"continue": position} if position else {})
            try:
                answer = self._api.request("GET", path, accept=accept)
            except AnswerTooLongError:
                if size == 1:
                    raise
                size = max(1, size // _SHRINK)
                continue
            except NotFoundError as error:  # a kind whose custom resource is not installed yet
                raise UnavailableError(str(error)) from error
            items, position, at = _page(path, answer)
            for item in items:
                record, fault = self._read(item)
                records += [] if record is None else [record]
                unreadable += [] if fault is None else [fault]
            if not position:
                return Listing(
                    records=tuple(records), resource_version=at, unreadable=tuple(unreadable)
                )

    def watch(self, resource_version: str) -> Iterator[WatchEvent[R]]:
        """Changes since that version, until the server ends the stream after some minutes.

        Raises ``GoneError`` when the version is too old, and where the kind is not served (any
        more): then only a new list helps. Raises ``UnavailableError`` when the connection fails.
        """
        path = self._url(
            watch=1,
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            timeoutSeconds=_WATCH_S,
        )
        try:
            for event in self._api.stream(path, accept=self._accept, silence=_SILENCE):
                yield self._event(event)
        except NotFoundError as error:
            raise GoneError(str(error)) from error

    def _event(self, event: dict[str, Any]) -> WatchEvent[R]:
        kind, item = event.get("type"), event.get("object")
        if kind == "ERROR":
            status = item if isinstance(item, dict) else {}
            text = f"{status.get('code')} {status.get('reason')}"
            raise GoneError(f"watch {self._path}: {text[:_SHOWN]}")
        if kind == "BOOKMARK":
            return WatchEvent(change=Change.BOOKMARK, record=None, resource_version=version(item))
        change = _CHANGES.get(kind) if isinstance(kind, str) else None
        if change is None:
            fault = _nameless("", f"type: found {str(kind)[:_SHOWN]!r}")
            return WatchEvent(
                change=Change.BOOKMARK, record=None, resource_version="", unreadable=fault
            )
        record, unreadable = self._read(item)
        return WatchEvent(
            change=change, record=record, resource_version=version(item), unreadable=unreadable
        )

    def _read(self, item: object) -> tuple[R | None, Unreadable | None]:
        """The record and its unreadable fields; either may be missing."""
        if not isinstance(item, dict):
            return None, _nameless("", "no object")
        try:
            record = self._record(item)
        except NamelessError as error:
            return None, _nameless(error.hint, str(error))
        if not record.faults:
            return record, None
        fields = tuple(fault.field for fault in record.faults)
        cause = record.faults[0].text
        return record, Unreadable(name=record.key, fields=fields, cause=cause)

    def _url(self, **query: object) -> str:
        parts = [part for part in (self._query, urlencode(query)) if part]
        return f"{self._path}?{'&'.join(parts)}"


def _nameless(hint: str, cause: str) -> Unreadable:
    return Unreadable(name=hint, fields=("metadata",), cause=cause, identified=False)


def _page(path: str, answer: JsonObject) -> tuple[list[object], str, str]:
    """The items of a page, where the next begins, and the version. ``UnavailableError``."""
    items, meta = answer.get("items"), answer.get("metadata")
    position = meta.get("continue") or "" if isinstance(meta, dict) else ""
    at = version(answer)
    if not isinstance(items, list | None) or not isinstance(position, str) or not at:
        raise UnavailableError(f"GET {path}: unexpected list, without items or a version")
    return items or [], position, at
