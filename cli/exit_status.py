"""Exit status and one-line errors of commands with a verdict."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from k40s.errors import K40sError, UnavailableError
from workbench.printable import in_line

HOLDS = 0
DOES_NOT_HOLD = 1
BAD_INPUT = 2
NOT_JUDGED = 3
"""No verdict: only the node can decide, or the API server does not answer."""


class UnsuitableOptionsError(K40sError):
    """Options that exclude each other, or have no effect together."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn errors that a user can act on into one line and an exit status."""
    try:
        yield
    except UnavailableError as error:
        _end(str(error), NOT_JUDGED)
    except BrokenPipeError:  # whoever reads has seen enough: click ends quietly
        raise
    except OSError as error:
        _end(_of_system(error), BAD_INPUT)
    except K40sError as error:
        _end(str(error), BAD_INPUT)


def _of_system(error: OSError) -> str:
    """The file and what is wrong with it, without the error's number."""
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"


def _end(text: str, status: int) -> None:
    click.echo(f"error: {in_line(' '.join(text.splitlines()))}", err=True)
    sys.exit(status)
