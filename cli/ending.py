"""How commands that judge something end: their exit status, and errors in one line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from k40s.errors import K40sError, UnavailableError

HOLDS = 0
DOES_NOT_HOLD = 1
BAD_INPUT = 2
NOT_JUDGED = 3
"""Nobody here can say: a node that decides by itself, an API server that does not answer."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors that people can do something about into one line and a status."""
    try:
        yield
    except UnavailableError as error:
        _end(error, NOT_JUDGED)
    except (K40sError, OSError) as error:
        _end(error, BAD_INPUT)


def _end(error: Exception, status: int) -> None:
    click.echo(f"error: {error}", err=True)
    sys.exit(status)
