"""The real rubicante of a node, with its loops and a real API server, on a kernel in memory.

Its settings are the environment's, as for ``python -m daemons.rubicante``. ``SLOW_WRITES`` is one
more: so often (each n-th time) its disk takes 0.3 s.
"""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from flask import Flask

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.settings import Settings
from k40s.http.server import serve
from k40s.http.tls import TlsFiles
from k40s.kube.connect import connect
from k40s.runtime.log import configure
from k40s.runtime.settings import read_settings
from tests.fakes.rubicante.api_server import FakeStore
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel


class HesitantStore(FakeStore):
    """A disk that now and then takes its time; what it was given is written first."""

    def __init__(self, each: int) -> None:
        super().__init__()
        self._each = each
        self._writes = 0

    def write(self, changes: Mapping[str, str | None]) -> None:
        super().write(changes)
        self._writes += 1
        if self._each and self._writes % self._each == 0:
            time.sleep(0.3)


def main() -> None:
    given = read_settings(Settings, os.environ)
    settings = replace(given, cpu_cgroup_path=CPU, proc_path=PROC, cgroup_root="/k8s")
    configure(settings.log_level, sys.stderr)

    def build() -> Flask:
        gateway = connect(kubeconfig=settings.kubeconfig)
        daemon = Daemon(
            settings,
            system=FakeKernel(frozenset(range(8))),
            gateway=gateway,
            pods=gateway.pods(node=settings.node_name),
            store=HesitantStore(int(os.environ.get("SLOW_WRITES", "0"))),
        )
        daemon.start()
        return daemon.api()

    serve(
        build,
        host=settings.listen_host,
        port=settings.port,
        tls=TlsFiles.in_directory(settings.tls_directory),
        allowed_clients=frozenset(settings.allowed_clients),
        threads=4,
    )


if __name__ == "__main__":
    main()
