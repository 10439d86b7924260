"""Runs a command with a timeout; a failure carries the end of its output."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.errors import CommandError

_TAIL = 3000


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float = 60,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> str:
    """Return what the command wrote to its standard output.

    ``timeout`` is in seconds. Raises ``CommandError`` when the command is missing, returns another
    status than 0, or takes longer; the end of its standard error is in the text.
    """
    words = [str(word) for word in argv]
    shown = " ".join(words[:12])
    try:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=None if environment is None else dict(environment),
            cwd=directory,
        )
    except FileNotFoundError as error:
        raise CommandError(f"{words[0]} is not installed (needed for: {shown})") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"no end after {timeout:g} s: {shown}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-_TAIL:]
        raise CommandError(f"{shown}: status {done.returncode}: {said}")
    return done.stdout
