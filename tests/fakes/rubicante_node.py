"""The real rubicante of a node, with its loops and a real API server, on a kernel in memory.

Its settings are the environment's, as for ``python -m daemons.rubicante``.
"""

import os
import sys
from dataclasses import replace

from flask import Flask

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.settings import Settings
from k40s.runtime.http import serve
from k40s.runtime.kube import connect
from k40s.runtime.log import configure
from k40s.runtime.settings import read_settings
from k40s.runtime.tls import TlsFiles
from tests.fakes.rubicante_api_server import FakeStore
from tests.fakes.rubicante_kernel import CPU, PROC, FakeKernel


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
            store=FakeStore(),
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
