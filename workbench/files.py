"""Files that people name on the command line, read as text."""

import sys
from pathlib import Path

from k40s.errors import InvalidInputError

STANDARD_INPUT = "-"


def source_name(path: str) -> str:
    """What errors call the file."""
    return "standard input" if path == STANDARD_INPUT else path


def read_text(path: str) -> str:
    """The file's text, or standard input's for ``-``.

    Raises ``InvalidInputError`` where it cannot be read or is no UTF-8.
    """
    try:
        if path == STANDARD_INPUT:
            return sys.stdin.read()
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "bytes that are no UTF-8"
        raise InvalidInputError(
            source=path, path="$", found=found, expected="a file with text that can be read"
        ) from error
