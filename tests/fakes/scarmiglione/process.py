"""The real scarmiglione as its own process, on a fake kernel: ``PORT TLS_DIRECTORY``.

The Network's status holds reservations of the pods 1 to 5. It says "ready" once it can serve.
"""

import sys
from pathlib import Path

from flask import Flask

from k40s.http.server import serve
from k40s.http.tls import TlsFiles
from tests.fakes.scarmiglione.world import SETTINGS, World, window


def main() -> None:
    port, directory = sys.argv[1:]

    def build() -> Flask:
        world = World()
        for number in range(1, 6):
            world.reserve(number, window(100 * number))
        world.open()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        return world.daemon.api()

    serve(
        build,
        host="127.0.0.1",
        port=int(port),
        tls=TlsFiles.in_directory(Path(directory)),
        allowed_clients=frozenset(SETTINGS.allowed_clients),
        threads=4,
    )


if __name__ == "__main__":
    main()
