"""List and watch of one kind of object at the API server."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from k40s.errors import UnavailableError
from k40s.runtime.kube_objects import JsonObject
from k40s.runtime.kube_transport import JSON, ApiTransport
from k40s.runtime.watching import Change, GoneError, Keyed, Listing, WatchEvent
from k40s.units import NS_PER_S, Nanoseconds

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE = 500
_WATCH_S = 290
_SILENCE = Nanoseconds(90 * NS_PER_S)
"""The API server sends a bookmark about once a minute."""
_CHANGES = {"ADDED": Change.UPSERT, "MODIFIED": Change.UPSERT, "DELETED": Change.DELETE}

R = TypeVar("R", bound=Keyed)


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
        position = ""
        while True:
            path = self._url(limit=_PAGE, **{"continue": position} if position else {})
            answer = self._api.request("GET", path, accept=accept)
            try:
                records.extend(self._record(item) for item in answer["items"] or ())
                meta = answer["metadata"]
                position = meta.get("continue") or ""
                version = meta["resourceVersion"]
            except (KeyError, TypeError, ValueError) as error:
                raise UnavailableError(f"GET {path}: unexpected list: {error!r}") from error
            if not position:
                return Listing(records=tuple(records), resource_version=version)

    def watch(self, resource_version: str) -> Iterator[WatchEvent[R]]:
        """Changes since that version, until the server ends the stream after some minutes.

        Raises ``GoneError`` when the version is too old, or an event cannot be read: then only a
        new list helps. Raises ``UnavailableError`` when the connection fails.
        """
        path = self._url(
            watch=1,
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            timeoutSeconds=_WATCH_S,
        )
        for event in self._api.stream(path, accept=self._accept, silence=_SILENCE):
            yield self._event(event)

    def _event(self, event: dict[str, Any]) -> WatchEvent[R]:
        try:
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                raise GoneError(f"watch {self._path}: {item.get('code')} {item.get('reason')}")
            version = item["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                return WatchEvent(change=Change.BOOKMARK, record=None, resource_version=version)
            return WatchEvent(
                change=_CHANGES[kind], record=self._record(item), resource_version=version
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise GoneError(f"watch {self._path}: unexpected event: {error!r}") from error

    def _url(self, **query: object) -> str:
        parts = [part for part in (self._query, urlencode(query)) if part]
        return f"{self._path}?{'&'.join(parts)}"
