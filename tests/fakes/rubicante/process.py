"""The real rubicante as its own process, on a fake kernel: ``PORT TLS_DIRECTORY``.

Its API server knows the pods 1 to 5, unbound. It says "ready" on stdout once it can serve.
"""

import sys
from pathlib import Path

from flask import Flask

from k40s.http.server import serve
from k40s.http.tls import TlsFiles
from tests.fakes.rubicante.scene import SETTINGS, Scene
from tests.fakes.rubicante.world import pod


def main() -> None:
    port, directory = sys.argv[1:]

    def build() -> Flask:
        scene = Scene()
        for number in range(1, 6):
            scene.server.add(pod(number))
        scene.open()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        return scene.daemon.api()

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
