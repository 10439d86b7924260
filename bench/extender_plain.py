"""The extender without TLS, to see what TLS costs. For benchmarks alone."""

import os
import sys

from flask import Flask

from extender.__main__ import rest_collector
from extender.clients import RubicanteClient
from extender.service import Extender
from extender.settings import ExtenderSettings
from k40s.runtime.http import serve
from k40s.runtime.json_client import JsonClient
from k40s.runtime.kube import connect
from k40s.runtime.log import configure
from k40s.runtime.probes import ProbeServer
from k40s.runtime.settings import read_settings
from k40s.runtime.tls import TlsFiles


def main() -> None:
    settings = read_settings(ExtenderSettings, os.environ)
    configure(settings.log_level, sys.stderr)

    def build() -> Flask:
        client = JsonClient(
            tls=TlsFiles.in_directory(settings.client_tls_directory),
            server_name=settings.rubicante_name,
            timeout=settings.reserve_timeout,
        )
        extender = Extender(
            settings,
            cluster=connect(kubeconfig=settings.kubeconfig),
            cpu=RubicanteClient(client),
        )
        ProbeServer(
            host=settings.host,
            port=settings.probe_port,
            registry=extender.registry,
            ready=extender.trouble,
        ).start()
        app = extender.start()
        rest_collector()
        return app

    serve(build, host=settings.host, port=settings.port, tls=None, threads=settings.threads)


if __name__ == "__main__":
    main()
