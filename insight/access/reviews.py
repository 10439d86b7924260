"""Questions to the API server: whose token this is, and what that user may do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from k40s.errors import UnreadableError
from k40s.units import NS_PER_S, Nanoseconds

TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105  # a path
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_TIMEOUT = Nanoseconds(5 * NS_PER_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whom the API server knows a token's bearer as; hashable, so that answers can be kept."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def account(self) -> tuple[str, str]:
        """Whom limits count: ``extra`` may differ from token to token of the same account."""
        return self.name, self.uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a user would do; "" as ``namespace`` is all namespaces, or no namespace."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""


class Reviews(Protocol):
    """The API server's two reviews. Methods raise ``UnavailableError``."""

    def authenticate(self, token: str) -> User | None:
        """The token's user; None where it is not valid, or for another audience."""
        ...

    def allows(self, user: User, action: Action) -> bool:
        """Whether the user may."""
        ...


class Api(Protocol):
    """The part of ``ApiTransport`` that is used."""

    def request(
        self, method: str, path: str, body: object = None, *, timeout: Nanoseconds | None = None
    ) -> Mapping[str, Any]:
        """Return the object that a 2xx answer carries."""
        ...


class ApiReviews:
    """``Reviews`` of an API server."""

    def __init__(self, api: Api, *, audiences: Sequence[str] = ()) -> None:
        """``audiences``: a token has to be for one of them; none means the API server's own."""
        self._api = api
        self._audiences = tuple(audiences)

    def authenticate(self, token: str) -> User | None:
        """See ``Reviews``."""
        spec: dict[str, object] = {"token": token}
        if self._audiences:
            spec["audiences"] = list(self._audiences)
        status = self._review(TOKEN_REVIEWS, "TokenReview", "authentication", spec)
        if status.get("authenticated") is not True:
            return None
        # An authenticator that knows no audiences names none: its tokens are for the API server.
        if self._audiences and not set(self._audiences) & set(_texts(status.get("audiences"))):
            return None
        return _user(status.get("user"))

    def allows(self, user: User, action: Action) -> bool:
        """See ``Reviews``."""
        spec: dict[str, object] = {
            "user": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra},
            "resourceAttributes": {
                "verb": action.verb,
                "group": action.group,
                "resource": action.resource,
                "namespace": action.namespace,
            },
        }
        status = self._review(ACCESS_REVIEWS, "SubjectAccessReview", "authorization", spec)
        return status.get("allowed") is True and status.get("denied") is not True

    def _review(
        self, path: str, kind: str, group: str, spec: Mapping[str, object]
    ) -> Mapping[str, Any]:
        body = {"apiVersion": f"{group}.k8s.io/v1", "kind": kind, "spec": dict(spec)}
        status = self._api.request("POST", path, body, timeout=_TIMEOUT).get("status")
        if not isinstance(status, dict):
            raise UnreadableError(f"{kind}: the answer has no status")
        return status


def _user(found: object) -> User:
    if not isinstance(found, dict) or not isinstance(found.get("username"), str):
        raise UnreadableError("TokenReview: the answer names no user")
    extra = found.get("extra")
    return User(
        name=found["username"],
        uid=str(found.get("uid") or ""),
        groups=_texts(found.get("groups")),
        extra=tuple(
            (str(key), _texts(values))
            for key, values in sorted((extra if isinstance(extra, dict) else {}).items())
        ),
    )


def _texts(found: object) -> tuple[str, ...]:
    return tuple(map(str, found)) if isinstance(found, list) else ()
