"""``python -m daemons.rubicante``: reads the environment and serves."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from daemons.rubicante.settings import Settings
from k40s.errors import K40sError
from k40s.runtime.http import serve
from k40s.runtime.log import configure
from k40s.runtime.settings import node_environment, read_settings
from k40s.runtime.tls import TlsFiles

if TYPE_CHECKING:
    from flask import Flask

    from daemons.rubicante.process import Process

_NODE_FILES = Path("/etc/k40s/node")
_THREADS = 4


def main() -> None:
    """Serve until told to stop; a fault in the settings ends the process with its text."""
    try:
        run(read_settings(Settings, node_environment(os.environ, _NODE_FILES)))
    except K40sError as error:
        sys.exit(f"rubicante: {error}")


def run(settings: Settings) -> None:
    """Serve the API and the probes; the loops run in the worker process."""
    configure(settings.log_level, sys.stderr)
    started: list[Process] = []

    def build() -> "Flask":
        from daemons.rubicante.process import Process  # noqa: PLC0415  # after the fork: memory

        started.append(Process(settings, os.environ))
        return started[0].api()

    def halt() -> None:
        for process in started:
            process.halt()

    serve(
        build,
        host=settings.listen_host,
        port=settings.port,
        tls=TlsFiles.in_directory(settings.tls_directory),
        allowed_clients=frozenset(settings.allowed_clients),
        threads=_THREADS,
        on_stop=halt,
    )


if __name__ == "__main__":
    main()
