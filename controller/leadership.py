"""The one replica that acts, and what leaders leave on the Lease for those that come after."""

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from k40s.errors import InvalidAnnotationError

H = TypeVar("H")


class Leadership(Protocol):
    """Implemented by ``LeaderElection``."""

    @property
    def leading(self) -> bool:
        """Whether this process may act now."""
        ...

    @property
    def annotations(self) -> Mapping[str, str]:
        """What leaders have left on the Lease."""
        ...

    def annotate(self, annotations: Mapping[str, str]) -> None:
        """Leave something there. Raises ``ConflictError`` when this process does not lead."""
        ...


class LeaseHistory(Generic[H]):
    """What leaders did lately, as an annotation of the Lease, for limits by the hour. One thread.

    It is written before each act, so that one who dies in between leaves one too many there.
    """

    def __init__(
        self,
        leadership: Leadership,
        key: str,
        *,
        parse: Callable[[str], H],
        write: Callable[[H], str],
        refused: Callable[[str], None],
    ) -> None:
        """``refused`` reports why a text cannot be read, once for each text."""
        self._leadership = leadership
        self._key = key
        self._parse = parse
        self._format = write
        self._refused = refused
        self._bad = ""

    def read(self, empty: H) -> H | None:
        """The history, ``empty`` where there is none yet; None where it cannot be read.

        Who cannot read it does not act.
        """
        text = self._leadership.annotations.get(self._key)
        if text is None:
            return empty
        try:
            return self._parse(text)
        except InvalidAnnotationError as error:
            if text != self._bad:
                self._bad = text
                self._refused(str(error))
            return None

    def write(self, history: H) -> None:
        """Raises ``ConflictError`` when this process does not lead, and ``UnavailableError``."""
        self._leadership.annotate({self._key: self._format(history)})
