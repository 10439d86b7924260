"""Texts of a cluster as a terminal may show them: no control characters. Pure.

Events, annotations and conditions are written by whoever may write those objects; an escape
sequence among them would move the cursor, rename the window, or hide what stands beside it.
"""

_KEPT = "\n"


def printable(text: str) -> str:
    r"""The text with escapes such as ``\x1b`` for all that is not shown; line breaks stay."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in _KEPT else _escape(one) for one in text)


def in_line(text: str) -> str:
    """The same as one line: nobody's text begins a line of its own."""
    return " ".join(printable(text).split("\n")) if "\n" in text else printable(text)


def _escape(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")
