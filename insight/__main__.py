"""``python -m insight``: reads the environment and makes the adapters, in the worker process."""

import os
import sys
from functools import partial

from insight.app import InsightApp
from insight.explanations.extender_client import ExtenderClient
from insight.process import Insight
from insight.settings import InsightSettings
from k40s.errors import K40sError
from k40s.http.client import HttpClient
from k40s.http.listening import format_authority
from k40s.http.server import serve
from k40s.http.tls import TlsFiles
from k40s.kube.connect import connect
from k40s.runtime.log import configure
from k40s.runtime.settings import read_settings

MAX_BODY = 512 << 10
"""Bytes: a Pod's manifest."""
_MAX_ANSWER = 32 << 20
"""Bytes of an explanation: 5,000 nodes with some figures each."""


def main() -> None:
    """Serves until a signal; invalid settings end the process with their text."""
    try:
        run(read_settings(InsightSettings, os.environ))
    except K40sError as error:
        sys.exit(f"insight: {error}")


def run(settings: InsightSettings) -> None:
    """Serve the page, the API and the probes."""
    configure(settings.log_level, sys.stderr)
    serve(
        partial(start, settings),
        host=settings.host,
        port=settings.port,
        tls=TlsFiles.in_directory(settings.tls_directory),
        allowed_clients=None,
        threads=settings.threads,
        max_body=MAX_BODY,
    )


def start(settings: InsightSettings) -> InsightApp:
    """Start informers, loops and probes, in the process that will serve the application."""
    authority = format_authority(settings.extender_service, settings.extender_port)
    client = HttpClient(
        base_url=f"https://{authority}",
        tls=TlsFiles.in_directory(settings.client_tls_directory),
        server_name=settings.extender_name,
        timeout=settings.extender_timeout,
        max_answer=_MAX_ANSWER,
    )
    gateway = connect(kubeconfig=settings.kubeconfig, environment=os.environ)
    return Insight(settings, gateway=gateway, explainer=ExtenderClient(client)).start()


if __name__ == "__main__":
    main()
