"""``python -m webhook``: reads the environment and makes the adapters, in the worker process."""

import os
import sys
from functools import partial

from k40s.errors import K40sError
from k40s.http.server import serve
from k40s.http.tls import TlsFiles
from k40s.kube.connect import connect
from k40s.kube.writing.tenant_ledgers import TenantLedgers
from k40s.runtime.log import configure
from k40s.runtime.settings import read_settings
from webhook.app import WebhookApp
from webhook.process import Webhook
from webhook.settings import WebhookSettings

MAX_BODY = 8 << 20
"""Bytes: an object and its former version, each as large as etcd takes (1.5 MB), and escapes."""


def main() -> None:
    """Serves until a signal; invalid settings end the process with their text."""
    try:
        run(read_settings(WebhookSettings, os.environ))
    except K40sError as error:
        sys.exit(f"webhook: {error}")


def run(settings: WebhookSettings) -> None:
    """Serve the API and the probes."""
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


def start(settings: WebhookSettings) -> WebhookApp:
    """Start the loop and the probes, in the process that will serve the application returned."""
    gateway = connect(kubeconfig=settings.kubeconfig, environment=os.environ)
    tenants = TenantLedgers(gateway.api).declared()
    return Webhook(settings, api=gateway.api, tenants=tenants).start()


if __name__ == "__main__":
    main()
