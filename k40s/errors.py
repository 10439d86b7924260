"""The errors of the model, and what each means to a caller.

A *refusal* ("this pod does not fit") is a value and never an exception: see ``k40s.reasons``.
An *error* is one of these:

- ``InvalidInputError``: what a person or a peer wrote cannot be understood. Never retried.
- ``KernelError``: the kernel refused or failed; the errno and the call are in the text.
- ``UnavailableError``: something that should answer does not (API server, daemon, store). Retried.
  Of these, ``UnreadableError`` is about one object alone; other work goes on.
"""


class K40sError(Exception):
    """Root of all errors that k40s raises on purpose."""


class InvalidInputError(K40sError):
    """Text that cannot become a value: names the place, what was found, and what would be right.

    ``source`` is an annotation key, a file or "request body"; ``path`` a JSON path such as
    ``$[0].period`` ("$" is the whole text).
    """

    def __init__(self, *, source: str, path: str, found: object, expected: str) -> None:
        self.source = source
        self.path = path
        self.found = _shorten(found)
        self.expected = expected
        where = source if path == "$" else f"{source} at {path}"
        super().__init__(f"{where}: found {self.found}, expected {expected}")


class InvalidAnnotationError(InvalidInputError):
    """An annotation or label that a team or an operator wrote cannot be understood."""


class KernelError(K40sError):
    """The kernel refused or failed an operation on a cgroup, a thread or a network device."""


class UnavailableError(K40sError):
    """A peer or a store that has to answer does not; the same call may succeed later."""


class UnreadableError(UnavailableError):
    """A peer has answered with an object of which something needed cannot be understood."""


def _shorten(found: object) -> str:
    if found is None:
        return "null"
    if isinstance(found, bool):
        return str(found).lower()
    text = repr(found)
    return text if len(text) <= _MAX_FOUND else text[: _MAX_FOUND - 1] + "…"


_MAX_FOUND = 80
