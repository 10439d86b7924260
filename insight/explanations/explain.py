"""Explains one pod to one reader: a pod that is there, or a manifest that is not applied yet."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from insight.access.gate import Gate
from insight.access.reviews import User
from insight.access.rights import LIST_NODES, MOST_NAMESPACES, get_pods
from insight.answers import RefusalError
from insight.explanations.extender_client import Explainer
from insight.explanations.redaction import namespaces_of, redact, redact_story
from insight.explanations.stories import API_TIMEOUT, Api
from insight.explanations.turns import TooManyExplanationsError, Turns
from k40s.explanation.json import Told
from k40s.explanation.model import PodStory
from k40s.kube.objects.fields import JsonObject
from k40s.kube.transport import NotFoundError

_NEW = "manifest"
"""The name of a pod that has none: its owner would give it one."""

TellStory = Callable[[JsonObject], PodStory]
"""The story of a bound pod, from its object."""
ListNodes = Callable[[], Sequence[str]]
"""The names of all nodes."""


class Explanations:
    """Each call asks first what the reader may see. Methods raise ``UnavailableError``.

    They raise ``RefusalError`` for a reader without ``get pods`` in the namespace (403), and for a
    pod that is not there (404) or no manifest of one (422), and while others' are made (429).
    """

    def __init__(
        self,
        *,
        api: Api,
        gate: Gate,
        explainer: Explainer,
        nodes: ListNodes,
        tell_story: TellStory,
    ) -> None:
        self._api = api
        self._gate = gate
        self._explainer = explainer
        self._nodes = nodes
        self._tell_story = tell_story
        self._turns = Turns()

    def of_pod(self, user: User, namespace: str, name: str) -> Told:
        """An explanation where the pod waits, its story where it is bound."""
        self._check(user, namespace)
        with self._turn(user):
            return self._of_pod(user, namespace, name)

    def of_manifest(self, user: User, namespace: str, read: Callable[[], object]) -> Told:
        """What filter would say of a Pod in the namespace, if it were applied.

        ``read`` returns the manifest, which nobody without the right has read.
        """
        self._check(user, namespace)
        with self._turn(user):
            return self._explain(user, _pod_of(read(), namespace))

    def _of_pod(self, user: User, namespace: str, name: str) -> Told:
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        try:
            pod = dict(self._api.request("GET", path, timeout=API_TIMEOUT))
        except NotFoundError as error:
            raise RefusalError(HTTPStatus.NOT_FOUND, _no_such(namespace, name)) from error
        if (pod.get("spec") or {}).get("nodeName"):
            story = self._tell_story(pod)
            nodes = self._gate.allows(user, LIST_NODES)
            shown = redact_story(story, self._covers(user), nodes=nodes)
            return Told(explanation=None, running=shown)
        return self._explain(user, pod)

    def _explain(self, user: User, pod: JsonObject) -> Told:
        found = self._explainer.explain(pod, self._nodes())
        if len(namespaces_of(found)) > MOST_NAMESPACES:
            return Told(explanation=redact(found, lambda _: False), running=None)
        return Told(explanation=redact(found, self._covers(user)), running=None)

    @contextmanager
    def _turn(self, user: User) -> Iterator[None]:
        try:
            with self._turns.turn(user.account):
                yield
        except TooManyExplanationsError as error:
            raise RefusalError(HTTPStatus.TOO_MANY_REQUESTS, str(error)) from error

    def _check(self, user: User, namespace: str) -> None:
        if not self._gate.allows(user, get_pods(namespace)):
            text = f"you may not get pods in the namespace {namespace}"
            raise RefusalError(HTTPStatus.FORBIDDEN, text)

    def _covers(self, user: User) -> Callable[[str], bool]:
        return lambda namespace: self._gate.allows(user, get_pods(namespace))


def _no_such(namespace: str, name: str) -> str:
    """With where the end of a pod is told, as an evicted one is asked for most."""
    return (
        f"there is no pod {name} in the namespace {namespace}; of one that was there, "
        f"kubectl get events -n {namespace} --field-selector involvedObject.name={name} "
        "tells the end"
    )


def _pod_of(manifest: object, namespace: str) -> JsonObject:
    """The manifest with the namespace, and with names where it has none."""
    if not isinstance(manifest, dict) or manifest.get("kind") != "Pod":
        raise _no_pod("expected a manifest of the kind Pod, as JSON")
    metadata, spec = manifest.get("metadata", {}), manifest.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise _no_pod("expected a Pod with metadata and spec, each an object")
    if metadata.get("namespace", namespace) != namespace:
        raise _no_pod(f"metadata.namespace: expected {namespace}, as in the request's path")
    name = metadata.get("name") or metadata.get("generateName") or _NEW
    names = {"namespace": namespace, "name": name, "uid": f"manifest-{namespace}-{name}"}
    return {**manifest, "metadata": {**metadata, **names}, "spec": spec}


def _no_pod(text: str) -> RefusalError:
    return RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, text)
