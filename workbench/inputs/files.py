"""Input files named on the command line, read as text."""

import sys
from pathlib import Path

from k40s.errors import InvalidInputError
from workbench.inputs.document import MAX_DOCUMENT

STANDARD_INPUT = "-"
_MAX_BYTES = 4 * MAX_DOCUMENT
"""Size of the longest document in UTF-8."""


def source_name(path: str) -> str:
    """The file's name in error messages."""
    return "standard input" if path == STANDARD_INPUT else path


def read_text(path: str) -> str:
    """The file's text, or standard input's for ``-``; no more is read than a document may have.

    Raises ``InvalidInputError`` where it cannot be read or is no UTF-8.
    """
    try:
        if path == STANDARD_INPUT:
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise _unreadable(path, f"more than {_MAX_BYTES} bytes", "a file of a few kilobytes")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(path, "bytes that are no UTF-8") from None
    except OSError as error:
        raise _unreadable(path, error.strerror or "nothing that can be read") from error


def _unreadable(
    path: str, found: str, expected: str = "a file with text that can be read"
) -> InvalidInputError:
    return InvalidInputError(source=source_name(path), path="$", found=found, expected=expected)
