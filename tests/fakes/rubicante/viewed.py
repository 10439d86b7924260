"""A back end for tests that call it step by step: what it is asked, its last view answers."""

from collections.abc import Sequence
from typing import Any

from daemons.rubicante.mechanisms.back_end import BackEnd, Held


class Viewed:
    """``know`` takes a new view; all else is asked of that, or of the back end itself."""

    def __init__(self, back_end: BackEnd) -> None:
        self.back_end = back_end
        self.know(())

    def know(self, book: Sequence[Held]) -> None:
        self._view = self.back_end.view(book)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the back end has
        return getattr(self._view if hasattr(self._view, name) else self.back_end, name)
