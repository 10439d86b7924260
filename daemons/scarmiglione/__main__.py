"""``python -m daemons.scarmiglione``: reads the environment and serves."""

import os
import sys
from typing import TYPE_CHECKING

from daemons.scarmiglione.settings import Settings
from k40s.errors import K40sError
from k40s.http.server import serve
from k40s.http.tls import TlsFiles
from k40s.runtime.log import configure
from k40s.runtime.settings import NODE_FILES, node_environment, read_settings

if TYPE_CHECKING:
    from flask import Flask

    from daemons.scarmiglione.process import Process

_THREADS = 4
MAX_BODY = 256 << 10
"""``daemons.scarmiglione.api.app.MAX_READ``, which may be imported after the fork only."""


def main() -> int:
    """Serve; invalid settings end the process with a text."""
    try:
        run(read_settings(Settings, node_environment(os.environ, NODE_FILES)))
    except K40sError as error:
        sys.exit(f"scarmiglione: {error}")
    return 0


def run(settings: Settings) -> None:
    """Serve the API and the probes; the loops run in the worker process."""
    configure(settings.log_level, sys.stderr)
    started: list[Process] = []

    def build() -> "Flask":
        from daemons.scarmiglione.process import Process  # noqa: PLC0415  # after the fork: memory

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
        max_body=MAX_BODY,
        on_stop=halt,
    )


if __name__ == "__main__":
    sys.exit(main())
