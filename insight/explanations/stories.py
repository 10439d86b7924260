"""The story of a bound pod, from its object, its node, and the Events about both."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from k40s.assurance.level import Thresholds
from k40s.explanation.happenings import StoryEvent
from k40s.explanation.model import PodStory
from k40s.explanation.story import StoryNode, story, story_event
from k40s.kube.objects.fields import JsonObject
from k40s.kube.watching.sources import label_query
from k40s.units import NS_PER_S, Nanoseconds

FindNode = Callable[[str], StoryNode | None]
"""The node of this name, as it is watched."""

API_TIMEOUT = Nanoseconds(5 * NS_PER_S)
"""Of one request to the API server."""
_MOST_EVENTS = 500


class Api(Protocol):
    """The part of ``ApiTransport`` that is used."""

    def request(
        self, method: str, path: str, *, timeout: Nanoseconds | None = None
    ) -> Mapping[str, Any]:
        """Return the object that a 2xx answer carries."""
        ...


class Stories:
    """Tells stories; ``tell`` raises ``UnavailableError``."""

    def __init__(self, *, api: Api, find_node: FindNode, thresholds: Thresholds) -> None:
        self._api = api
        self._find_node = find_node
        self._thresholds = thresholds

    def tell(self, pod: JsonObject) -> PodStory:
        """The story of a pod that is bound."""
        meta = pod["metadata"]
        node = str(pod["spec"]["nodeName"])
        events = [
            *self._events(str(meta["namespace"]), f"involvedObject.uid={meta['uid']}"),
            *self._events("", f"involvedObject.kind=Node,involvedObject.name={node}"),
        ]
        return story(pod, node=self._find_node(node), events=events, thresholds=self._thresholds)

    def _events(self, namespace: str, fields: str) -> Iterator[StoryEvent]:
        place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        query = label_query(labels="", fields=fields)
        path = f"/api/v1{place}/events?{query}&limit={_MOST_EVENTS}"
        items = self._api.request("GET", path, timeout=API_TIMEOUT).get("items")
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                yield story_event(item)
